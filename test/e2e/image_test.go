package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"
)

// imageOptions are the flags of the image command.
type imageOptions struct {
	push                       bool
	archive, oci               string
	entrypoint, cmd, env       string
	user, workdir, stop        string
	labels, volumes, ports, os string
	arch                       string
	health                     string
}

// image [OPTION...] NAME [KIND] makes an image and loads it into the script's
// store as localhost/NAME:latest, unless it is to go elsewhere. See README.md.
func imageCommand(ts *testscript.TestScript, neg bool, args []string) {
	var o imageOptions
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.bind(flags)
	if err := flags.Parse(args); err != nil || neg || flags.NArg() < 1 || flags.NArg() > 2 {
		ts.Fatalf("usage: image [OPTION...] NAME [KIND] (%v)", err)
	}
	kind := "busybox"
	if flags.NArg() == 2 {
		kind = flags.Arg(1)
	}
	img, err := makeImage(kind, o)
	ts.Check(err)
	ts.Check(deliver(ts, img, flags.Arg(0), o))
}

func (o *imageOptions) bind(flags *flag.FlagSet) {
	flags.BoolVar(&o.push, "push", false, "to $REGISTRY/NAME instead")
	flags.StringVar(&o.archive, "archive", "", "to this docker archive instead")
	flags.StringVar(&o.oci, "oci", "", "to this OCI layout instead")
	flags.StringVar(&o.entrypoint, "entrypoint", "", "words, separated by commas")
	flags.StringVar(&o.cmd, "cmd", "sh", "words, separated by commas")
	flags.StringVar(&o.env, "env", "", "A=B, separated by commas")
	flags.StringVar(&o.user, "user", "", "user")
	flags.StringVar(&o.workdir, "workdir", "", "working directory")
	flags.StringVar(&o.stop, "stop-signal", "", "signal")
	flags.StringVar(&o.labels, "label", "", "A=B, separated by commas")
	flags.StringVar(&o.volumes, "volume", "", "paths, separated by commas")
	flags.StringVar(&o.ports, "expose", "", "ports, separated by commas")
	flags.StringVar(&o.os, "os", "linux", "operating system")
	flags.StringVar(&o.health, "health", "", "health check as JSON, with docker's keys")
	flags.StringVar(&o.arch, "arch", "amd64", "architecture")
}

func deliver(ts *testscript.TestScript, img v1.Image, short string, o imageOptions) error {
	tag, err := name.NewTag("localhost/"+short, name.WithDefaultTag("latest"))
	if err != nil {
		return err
	}
	switch {
	case o.push:
		return push(ts, img, short)
	case o.oci != "":
		path, err := layout.Write(ts.MkAbs(o.oci), empty.Index)
		if err != nil {
			return err
		}
		return path.AppendImage(img, layout.WithAnnotations(map[string]string{
			"org.opencontainers.image.ref.name": tag.TagStr(),
		}))
	case o.archive != "":
		return tarball.WriteToFile(ts.MkAbs(o.archive), tag, img)
	}
	file := filepath.Join(ts.Getenv("BASE"), strings.ReplaceAll(short, "/", "-")+".tar")
	if err := tarball.WriteToFile(file, tag, img); err != nil {
		return err
	}
	if err := ts.Exec("pod", "load", "--quiet", "--input", file); err != nil {
		return err
	}
	return os.Remove(file)
}

func makeImage(kind string, o imageOptions) (v1.Image, error) {
	var layers [][]entry
	base, err := busybox()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "busybox":
		layers = [][]entry{base}
	case "scratch":
		layers = [][]entry{{dir("data"), file("data/file", "only a file\n", 0o644)}}
	case "layers":
		// Deletes a file, empties a directory, replaces a file by a directory.
		layers = [][]entry{base, {
			file("gone", "x", 0o644), dir("opaque"), file("opaque/old", "x", 0o644), file("turned", "x", 0o644),
		}, {
			file(".wh.gone", "", 0o644), dir("opaque"), file("opaque/.wh..wh..opq", "", 0o644),
			file("opaque/new", "y", 0o644), dir("turned"), file("turned/inside", "y", 0o644),
		}}
	default:
		return nil, fmt.Errorf("no image kind %q; use busybox, scratch or layers", kind)
	}
	img := empty.Image
	for _, entries := range layers {
		if img, err = addLayer(img, entries); err != nil {
			return nil, err
		}
	}
	return configure(img, o)
}

func addLayer(img v1.Image, entries []entry) (v1.Image, error) {
	data, err := archive(entries)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "e2e"}})
}

func configure(img v1.Image, o imageOptions) (v1.Image, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = o.os, o.arch
	config.Created = v1.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	config.Config = v1.Config{
		Entrypoint: words(o.entrypoint), Cmd: words(o.cmd), User: o.user,
		Env:        append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, words(o.env)...),
		WorkingDir: o.workdir, StopSignal: o.stop,
		Labels: map[string]string{}, Volumes: set(o.volumes), ExposedPorts: set(o.ports),
	}
	if o.health != "" {
		if err := json.Unmarshal([]byte(o.health), &config.Config.Healthcheck); err != nil {
			return nil, fmt.Errorf("-health: %w", err)
		}
	}
	for _, label := range words(o.labels) {
		key, value, _ := strings.Cut(label, "=")
		config.Config.Labels[key] = value
	}
	return mutate.ConfigFile(img, config)
}

func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func set(list string) map[string]struct{} {
	all := map[string]struct{}{}
	for _, word := range words(list) {
		all[word] = struct{}{}
	}
	return all
}

// entry is one member of a layer.
type entry struct {
	header tar.Header
	data   string
}

func dir(path string) entry {
	return entry{header: tar.Header{Name: path + "/", Typeflag: tar.TypeDir, Mode: 0o755}}
}

func file(path, data string, mode int64) entry {
	return entry{tar.Header{Name: path, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(data))}, data}
}

func link(path, target string) entry {
	return entry{header: tar.Header{Name: path, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}}
}

func archive(entries []entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		e.header.ModTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		if err := w.WriteHeader(&e.header); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, e.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// busybox is a small system: the host's static busybox under all its names, a
// few users, and a /tmp.
func busybox() ([]entry, error) {
	binary, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, fmt.Errorf("install busybox-static: %w", err)
	}
	names, err := exec.Command("/bin/busybox", "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("list busybox's programs: %w", err)
	}
	tmp := dir("tmp")
	tmp.header.Mode = 0o1777
	home := dir("home/app")
	home.header.Uid, home.header.Gid = 1000, 1000
	entries := []entry{
		dir("bin"), dir("etc"), dir("home"), home, dir("root"), dir("usr"), dir("usr/bin"), dir("var"), tmp,
		file("bin/busybox", string(binary), 0o755),
		file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n", 0o644),
		file("etc/group", "root:x:0:\napp:x:1000:\nextra:x:1001:app\n", 0o644),
		file("etc/motd", "not a program\n", 0o644),
	}
	for applet := range strings.FieldsSeq(string(names)) {
		if applet != "busybox" {
			entries = append(entries, link("bin/"+applet, "busybox"))
		}
	}
	return entries, nil
}
