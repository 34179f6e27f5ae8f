// Package verify compares two images that should be the same: layer by layer, file
// by file, and field by field of the configuration. It says what differs, which
// step made it, and what would make it the same.
package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/storage"
)

// Report is what a comparison has found.
type Report struct {
	// Platform is set if there are several.
	Platform string `json:"platform,omitempty"`
	// First and Second are the digests of the manifests.
	First  digest.Digest `json:"first"`
	Second digest.Digest `json:"second"`
	Same   bool          `json:"same"`
	Layers []Layer       `json:"layers,omitempty"`
	// Config are the fields of the configuration that differ, with their values.
	Config []Field `json:"config,omitempty"`
	// Remedies say what would make the images the same.
	Remedies []string `json:"remedies,omitempty"`
}

// Layer is a layer that differs.
type Layer struct {
	// Layer counts from 1, with those of the base image.
	Layer int `json:"layer"`
	// Step is the instruction that made it.
	Step  string `json:"step"`
	Files []File `json:"files"`
}

// File is a file that differs.
type File struct {
	Path string `json:"path"`
	// What differs: content, mtime, mode, owner, kind, link, attributes; or the file is
	// only in the first or the second image.
	What []string `json:"what"`
}

// Field is a field that differs.
type Field struct {
	Name   string `json:"field"`
	First  string `json:"first"`
	Second string `json:"second"`
}

// What is said of files.
const (
	content    = "content"
	mtime      = "mtime"
	mode       = "mode"
	owner      = "owner"
	kind       = "kind"
	link       = "link"
	attributes = "attributes"
	onlyFirst  = "only in the first build"
	onlySecond = "only in the second build"
	order      = "order of the archive"
)

// image is one of the two.
type image struct {
	manifest digest.Digest
	config   map[string]any
	parsed   v1.Image
	// layers are the ids in the store, the lowest first.
	layers []string
}

// Compare compares two images of the store.
func Compare(store storage.Store, first, second string) (*Report, error) {
	a, err := read(store, first)
	if err != nil {
		return nil, err
	}
	b, err := read(store, second)
	if err != nil {
		return nil, err
	}
	r := &Report{First: a.manifest, Second: b.manifest, Same: a.manifest == b.manifest}
	if r.Same {
		return r, nil
	}
	steps := a.steps()
	for i := range max(len(a.layers), len(b.layers)) {
		l := Layer{Layer: i + 1, Step: "unknown"}
		if i < len(steps) {
			l.Step = steps[i]
		}
		switch {
		case i >= len(b.layers):
			l.Files = []File{{Path: "/", What: []string{onlyFirst}}}
		case i >= len(a.layers):
			l.Files = []File{{Path: "/", What: []string{onlySecond}}}
		case a.parsed.RootFS.DiffIDs[i] == b.parsed.RootFS.DiffIDs[i]:
			continue
		default:
			if l.Files, err = compareLayers(store, a.layers[i], b.layers[i]); err != nil {
				return nil, err
			}
		}
		r.Layers = append(r.Layers, l)
	}
	r.Config = compareFields(a.config, b.config)
	r.remedy()
	return r, nil
}

// Platform is what an image of the store is for, as in linux/arm64/v8.
func Platform(store storage.Store, id string) (string, error) {
	img, err := read(store, id)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.Join([]string{img.parsed.OS, img.parsed.Architecture, img.parsed.Variant}, "/"), "/"), nil
}

func read(store storage.Store, id string) (*image, error) {
	img, err := store.Image(id)
	if err != nil {
		return nil, fmt.Errorf("find image %s: %w", id, err)
	}
	raw, err := store.ImageBigData(img.ID, storage.ImageDigestBigDataKey)
	if err != nil {
		return nil, fmt.Errorf("read manifest of image %s: %w", id, err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("read manifest of image %s: %w", id, err)
	}
	out := &image{manifest: digest.FromBytes(raw)}
	if raw, err = store.ImageBigData(img.ID, m.Config.Digest.String()); err != nil {
		return nil, fmt.Errorf("read configuration of image %s: %w", id, err)
	}
	if err := errors.Join(json.Unmarshal(raw, &out.config), json.Unmarshal(raw, &out.parsed)); err != nil {
		return nil, fmt.Errorf("read configuration of image %s: %w", id, err)
	}
	for at := img.TopLayer; at != ""; {
		layer, err := store.Layer(at)
		if err != nil {
			return nil, fmt.Errorf("find layer of image %s: %w", id, err)
		}
		out.layers, at = append(out.layers, layer.ID), layer.Parent
	}
	slices.Reverse(out.layers)
	if len(out.layers) != len(out.parsed.RootFS.DiffIDs) {
		return nil, fmt.Errorf("image %s has %d layers in the store and %d in its configuration", id, len(out.layers), len(out.parsed.RootFS.DiffIDs))
	}
	return out, nil
}

// steps are the instructions that made the layers.
func (i *image) steps() []string {
	// What buildah notes of flags behind the instruction.
	flags := regexp.MustCompile(`( *\|(unsetLabel|inheritLabels|unsetAnnotation|inheritAnnotations|clamp-mtime|force-mtime)=[^| ]*)+ *$`)
	var steps []string
	for _, h := range i.parsed.History {
		if h.EmptyLayer {
			continue
		}
		text := strings.TrimPrefix(h.CreatedBy, "/bin/sh -c ")
		if nop, ok := strings.CutPrefix(text, "#(nop) "); ok {
			text = nop
		} else {
			text = "RUN " + text
		}
		text = flags.ReplaceAllString(text, "")
		steps = append(steps, strings.TrimSpace(text))
	}
	return steps
}

// compareFields lists what differs in two configurations.
func compareFields(a, b map[string]any) []Field {
	var out []Field
	walk("", a, b, func(name string, x, y any) {
		if strings.HasPrefix(name, "rootfs.diff_ids") {
			return // the layers were said
		}
		out = append(out, Field{Name: name, First: value(x), Second: value(y)})
	})
	return out
}

func walk(name string, a, b any, differs func(name string, a, b any)) {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		all := map[string]bool{}
		for key := range x {
			all[key] = true
		}
		for key := range y {
			all[key] = true
		}
		for _, key := range slices.Sorted(maps.Keys(all)) {
			walk(strings.TrimPrefix(name+"."+key, "."), x[key], y[key], differs)
		}
		return
	case []any:
		y, ok := b.([]any)
		if !ok {
			break
		}
		for i := range max(len(x), len(y)) {
			var p, q any
			if i < len(x) {
				p = x[i]
			}
			if i < len(y) {
				q = y[i]
			}
			walk(fmt.Sprintf("%s[%d]", name, i), p, q, differs)
		}
		return
	}
	if !reflect.DeepEqual(a, b) {
		differs(name, a, b)
	}
}

func value(v any) string {
	if v == nil {
		return "none"
	}
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

// remedy says what would make the images the same.
func (r *Report) remedy() {
	times := slices.ContainsFunc(r.Config, func(f Field) bool { return f.Name == "created" || strings.HasSuffix(f.Name, "].created") })
	if times {
		r.Remedies = append(r.Remedies, "--source-date-epoch SECONDS sets the times of the configuration and of its history")
	}
	files := false
	for _, l := range r.Layers {
		var own []string
		for _, f := range l.Files {
			if slices.Contains(f.What, mtime) {
				files = true
			}
			if slices.ContainsFunc(f.What, func(what string) bool { return what != mtime }) {
				own = append(own, f.Path)
			}
		}
		if len(own) > 0 {
			const most = 3
			more := ""
			if len(own) > most {
				more = fmt.Sprintf(" and %d more", len(own)-most)
				own = own[:most]
			}
			r.Remedies = append(r.Remedies, fmt.Sprintf("make the step repeatable that writes %s%s: %s", strings.Join(own, ", "), more, l.Step))
		}
	}
	if files {
		r.Remedies = append(r.Remedies, "--rewrite-timestamp, with --source-date-epoch, sets the times of files")
	}
	other := slices.DeleteFunc(slices.Clone(r.Config), func(f Field) bool {
		return f.Name == "created" || strings.HasSuffix(f.Name, "].created")
	})
	if len(other) > 0 && len(r.Layers) == 0 {
		r.Remedies = append(r.Remedies, "the field "+other[0].Name+" is another in each build: see what sets it")
	}
}

// Text is the report for people, in lines.
func (r *Report) Text() string {
	var b strings.Builder
	if r.Platform != "" {
		b.WriteString(r.Platform + ": ")
	}
	if r.Same {
		fmt.Fprintf(&b, "verified: both builds have the digest %s\n", r.First)
		return b.String()
	}
	fmt.Fprintf(&b, "the builds differ: %s and %s\n", r.First, r.Second)
	for _, l := range r.Layers {
		fmt.Fprintf(&b, "layer %d, of %s\n", l.Layer, l.Step)
		const most = 50
		for i, f := range l.Files {
			if i == most {
				fmt.Fprintf(&b, "  and %d more files\n", len(l.Files)-most)
				break
			}
			fmt.Fprintf(&b, "  %s: %s\n", f.Path, strings.Join(f.What, ", "))
		}
	}
	if len(r.Config) > 0 {
		b.WriteString("configuration\n")
		for _, f := range r.Config {
			fmt.Fprintf(&b, "  %s: %s, then %s\n", f.Name, f.First, f.Second)
		}
	}
	for _, remedy := range r.Remedies {
		fmt.Fprintf(&b, "remedy: %s\n", remedy)
	}
	return b.String()
}
