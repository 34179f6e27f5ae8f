package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/testscript"
)

const (
	ociManifest  = "application/vnd.oci.image.manifest.v1+json"
	ociIndex     = "application/vnd.oci.image.index.v1+json"
	ociConfig    = "application/vnd.oci.image.config.v1+json"
	ociLayer     = "application/vnd.oci.image.layer.v1.tar"
	dockerImage  = "application/vnd.docker.distribution.manifest.v2+json"
	schema1      = "application/vnd.docker.distribution.manifest.v1+json"
	hugeManifest = 64 << 20
)

// answer is what a wicked registry serves at one path.
type answer struct {
	kind string
	body []byte
}

// wickedImage is an image as bytes, before they are twisted.
type wickedImage struct {
	config, layer []byte
	// manifest is what tags point to, served as kind.
	manifest, kind string
	// blobs by the digest they are asked for with.
	blobs map[string][]byte
}

type descriptor struct {
	MediaType string `json:"mediaType,omitempty"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

func describe(mediaType string, data []byte) descriptor {
	return descriptor{mediaType, digest.FromBytes(data).String(), int64(len(data))}
}

// wicked [-oci DIR] [-config FILE] KIND... puts images that are twisted as the
// kinds say into the script's registry, or into layouts below DIR, by their
// kinds' names. -config: FILE is the "config" of their configuration.
func wickedCommand(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("wicked", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	oci := flags.String("oci", "", "")
	config := flags.String("config", "", "")
	if err := flags.Parse(args); err != nil || neg || flags.NArg() < 1 {
		ts.Fatalf("usage: wicked [-oci DIR] [-config FILE] KIND... (%v)", err)
	}
	served := boxOf(ts).wicked
	if served == nil && *oci == "" {
		ts.Fatalf("start a registry first")
	}
	all := twists()
	for _, kind := range flags.Args() {
		img, err := newWicked(ts, *config)
		ts.Check(err)
		twist, ok := all[kind]
		if !ok {
			ts.Fatalf("no kind %q; there are %v", kind, slices.Sorted(maps.Keys(all)))
		}
		twist(img)
		if *oci != "" {
			ts.Check(img.layout(filepath.Join(ts.MkAbs(*oci), kind)))
			continue
		}
		name := "/v2/" + kind
		manifest := answer{img.kind, []byte(img.manifest)}
		served.Store(name+"/manifests/latest", manifest)
		served.Store(name+"/manifests/"+digest.FromString(img.manifest).String(), manifest)
		for sum, data := range img.blobs {
			served.Store(name+"/blobs/"+sum, answer{"application/octet-stream", data})
		}
	}
}

func newWicked(ts *testscript.TestScript, configFile string) (*wickedImage, error) {
	entries, err := busybox()
	if err != nil {
		return nil, err
	}
	img, err := addLayer(empty.Image, entries)
	if err != nil {
		return nil, err
	}
	if img, err = configure(img, imageOptions{cmd: "sh", os: "linux", arch: "amd64"}); err != nil {
		return nil, err
	}
	out := &wickedImage{kind: ociManifest}
	if out.config, err = img.RawConfigFile(); err != nil {
		return nil, err
	}
	if configFile != "" {
		var doc map[string]json.RawMessage
		if err := json.Unmarshal(out.config, &doc); err != nil {
			return nil, err
		}
		doc["config"] = []byte(ts.ReadFile(configFile))
		if out.config, err = json.Marshal(doc); err != nil {
			return nil, err
		}
	}
	if out.layer, err = archive(entries); err != nil {
		return nil, err
	}
	out.blobs = map[string][]byte{
		digest.FromBytes(out.config).String(): out.config, digest.FromBytes(out.layer).String(): out.layer,
	}
	out.write(describe(ociConfig, out.config), describe(ociLayer, out.layer))
	return out, nil
}

// write makes the manifest.
func (w *wickedImage) write(config descriptor, layers ...descriptor) {
	raw, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": ociManifest, "config": config, "layers": layers,
	})
	if err != nil {
		panic(err) // what is written here can be written
	}
	w.manifest = string(raw)
}

// layout writes the image as a directory.
func (w *wickedImage) layout(dir string) error {
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	sum := digest.FromString(w.manifest)
	files["blobs/sha256/"+sum.Encoded()] = []byte(w.manifest)
	for name, data := range w.blobs {
		algorithm, hex, ok := strings.Cut(name, ":")
		if ok && digest.Digest(name).Validate() == nil {
			files["blobs/"+algorithm+"/"+hex] = data
		}
	}
	files["index.json"] = fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, w.kind, sum, len(w.manifest))
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// twists are the kinds.
func twists() map[string]func(*wickedImage) {
	config := func(w *wickedImage) descriptor { return describe(ociConfig, w.config) }
	layer := func(w *wickedImage) descriptor { return describe(ociLayer, w.layer) }
	withDigest := func(sum string) func(*wickedImage) {
		return func(w *wickedImage) {
			l := layer(w)
			l.Digest = sum
			w.blobs[sum] = w.layer
			w.write(config(w), l)
		}
	}
	withSize := func(size int64) func(*wickedImage) {
		return func(w *wickedImage) {
			l := layer(w)
			l.Size = size
			w.write(config(w), l)
		}
	}
	text := func(kind, body string) func(*wickedImage) {
		return func(w *wickedImage) { w.kind, w.manifest = kind, body }
	}
	return map[string]func(*wickedImage){
		"none": func(*wickedImage) {},
		// What it is: the header and the document disagree, or it is two things at once.
		"type-index":   func(w *wickedImage) { w.kind = ociIndex },
		"type-schema1": func(w *wickedImage) { w.kind = schema1 },
		"type-unknown": func(w *wickedImage) { w.kind = "application/x-evil" },
		"type-html":    text("text/html", "<html>log in</html>"),
		"two-things": func(w *wickedImage) {
			w.manifest = strings.Replace(w.manifest, `{"config"`, `{"manifests":[{"mediaType":"`+ociManifest+
				`","digest":"`+digest.FromString("x").String()+`","size":1}],"config"`, 1)
		},
		"body-type": func(w *wickedImage) { w.manifest = strings.Replace(w.manifest, ociManifest, ociIndex, 1) },
		"twice-config": func(w *wickedImage) {
			other := []byte(strings.Replace(string(w.config), `"Cmd":["sh"]`, `"Cmd":["id"]`, 1))
			w.blobs[digest.FromBytes(other).String()] = other
			raw, err := json.Marshal(describe(ociConfig, other))
			if err != nil {
				panic(err)
			}
			w.manifest = strings.Replace(w.manifest, `{"config"`, `{"config":`+string(raw)+`,"config"`, 1)
		},
		"twice-layers": func(w *wickedImage) {
			w.manifest = strings.Replace(w.manifest, `"layers"`, `"layers":[],"layers"`, 1)
		},
		// Names that are paths.
		"digest-dots":     withDigest("sha256:../../../../../../../../../../../../etc/passwd"),
		"digest-relative": withDigest("../x"),
		"digest-absolute": withDigest("/etc/passwd"),
		"digest-short":    withDigest("sha256:abc"),
		"digest-md5":      withDigest("md5:d41d8cd98f00b204e9800998ecf8427e"),
		"digest-empty":    withDigest(""),
		"digest-other":    withDigest(digest.FromString("another layer").String()),
		"config-dots": func(w *wickedImage) {
			c := config(w)
			c.Digest = "sha256:../../../../../../../../../../../../etc/passwd"
			w.blobs[c.Digest] = w.config
			w.write(c, layer(w))
		},
		"config-other": func(w *wickedImage) {
			c := config(w)
			w.blobs[c.Digest] = []byte(strings.Replace(string(w.config), `"sh"`, `"id"`, 1))
			w.write(c, layer(w))
		},
		// Sizes.
		"size-small": withSize(10), "size-large": withSize(1 << 40), "size-negative": withSize(-5), "size-max": withSize(1<<63 - 1),
		"config-max": func(w *wickedImage) {
			c := config(w)
			c.Size = 1<<63 - 1
			w.write(c, layer(w))
		},
		"huge":  func(w *wickedImage) { w.manifest += strings.Repeat(" ", hugeManifest) },
		"deep":  text(ociManifest, strings.Repeat(`{"config":`, 1<<20)),
		"empty": text(ociManifest, ""), "null": text(ociManifest, "null"), "list": text(ociManifest, "[]"), "object": text(ociManifest, "{}"),
		"negative-config": func(w *wickedImage) {
			c := config(w)
			c.Size = -1
			w.write(c, layer(w))
		},
		"no-layers": func(w *wickedImage) { w.write(config(w)) },
		"more-layers": func(w *wickedImage) {
			w.write(config(w), layer(w), layer(w), layer(w))
		},
		"many-layers": func(w *wickedImage) {
			w.write(config(w), slices.Repeat([]descriptor{layer(w)}, 20000)...)
		},
		"loop": func(w *wickedImage) {
			// An index cannot hold its own digest; one that says to be an index's.
			w.kind = ociIndex
			w.manifest = fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":2,`+
				`"platform":{"os":"linux","architecture":"amd64"}}]}`, ociIndex, ociIndex, digest.FromString("{}"))
			w.blobs[digest.FromString("{}").String()] = []byte("{}")
		},
		// Configurations that are none.
		"config-null":   withConfig("null"),
		"config-list":   withConfig("[]"),
		"config-layers": withConfig(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:../../x"]}}`),
		"config-huge":   withConfig(`{"os":"linux","x":"` + strings.Repeat("x", hugeManifest) + `"}`),
	}
}

func withConfig(text string) func(*wickedImage) {
	return func(w *wickedImage) {
		w.config = []byte(text)
		w.blobs[digest.FromString(text).String()] = w.config
		w.write(describe(ociConfig, w.config), describe(ociLayer, w.layer))
	}
}

// wickedly serves what the wicked command made, and the rest of the registry.
func wickedly(box *sandbox, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, ok := box.wicked.Load(r.URL.Path)
		if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		served, _ := found.(answer)
		w.Header().Set("Content-Type", served.kind)
		w.Header().Set("Content-Length", fmt.Sprint(len(served.body)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(served.body)
		}
	})
}

// pack [-gzip] FILE ITEM... makes an archive of items as those of hostile, and
//
//	PATH<FILE    the content of FILE         PATH:many  a million files below PATH
//	PATH:zeros   a file of 64 GiB of zeros   PATH:some  20 000 files below PATH
//	PATH:again   an empty file, a million times
//
// in the order given, twice if named twice.
func packCommand(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("pack", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	compressed := flags.Bool("gzip", false, "")
	if err := flags.Parse(args); err != nil || neg || flags.NArg() < 2 {
		ts.Fatalf("usage: pack [-gzip] FILE ITEM... (%v)", err)
	}
	f, err := os.OpenFile(ts.MkAbs(flags.Arg(0)), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	ts.Check(err)
	defer f.Close()
	p := &packer{ts: ts, file: f, zip: *compressed}
	for _, item := range flags.Args()[1:] {
		ts.Check(p.add(item))
	}
	ts.Check(p.member(make([]byte, 1024)))
}

// packer writes an archive piece by piece, so that bombs cost nothing: each
// piece is a gzip member of its own.
type packer struct {
	ts   *testscript.TestScript
	file *os.File
	zip  bool
}

const (
	bomb  = 64 << 30
	piece = 64 << 20
	many  = 1_000_000
	some  = 20_000
)

func (p *packer) add(item string) error {
	if path, source, ok := strings.Cut(item, "<"); ok {
		return p.entry(file(path, p.ts.ReadFile(source), 0o644))
	}
	path, kind, _ := strings.Cut(item, ":")
	switch kind {
	case "zeros":
		return p.zeros(path)
	case "many":
		return p.many(path, many)
	case "some":
		return p.many(path, some)
	case "again":
		return p.again(path)
	}
	e, err := parseItem(item)
	if err != nil {
		return err
	}
	return p.entry(e)
}

func (p *packer) entry(e entry) error {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&e.header); err != nil {
		return err
	}
	if _, err := io.WriteString(w, e.data); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return p.member(out.Bytes())
}

func (p *packer) many(path string, files int) error {
	for start := 0; start < files; start += 10000 {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for n := start; n < start+10000; n++ {
			head := file(fmt.Sprintf("%s/%d", path, n), "", 0o644).header
			if err := w.WriteHeader(&head); err != nil {
				return err
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if err := p.member(out.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// again writes one piece over and over.
func (p *packer) again(path string) error {
	var one bytes.Buffer
	head := file(path, "", 0o644).header
	w := tar.NewWriter(&one)
	if err := errors.Join(w.WriteHeader(&head), w.Flush()); err != nil {
		return err
	}
	all := bytes.Repeat(one.Bytes(), piece/one.Len())
	from, err := p.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if err := p.member(all); err != nil {
		return err
	}
	to, err := p.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	for range many * one.Len() / piece {
		if _, err := io.Copy(p.file, io.NewSectionReader(p.file, from, to-from)); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) zeros(path string) error {
	var out bytes.Buffer
	head := file(path, "", 0o644).header
	head.Size = bomb
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&head); err != nil {
		return err
	}
	if err := p.member(out.Bytes()); err != nil {
		return err
	}
	if !p.zip {
		at, err := p.file.Seek(bomb, io.SeekCurrent)
		if err != nil {
			return err
		}
		return p.file.Truncate(at) // a hole
	}
	zeros, err := zipped(make([]byte, piece))
	if err != nil {
		return err
	}
	for range bomb / piece {
		if _, err := p.file.Write(zeros); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) member(data []byte) error {
	if p.zip {
		var err error
		if data, err = zipped(data); err != nil {
			return err
		}
	}
	_, err := p.file.Write(data)
	return err
}

func zipped(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}
