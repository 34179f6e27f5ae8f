// The program of this module builds what pod embeds as the tools of `pod debug`:
// many commands in one static binary, compressed. It is a module of its own, so
// that pod's does not depend on what the tools need.
//
//	go run . OUTPUT
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"log"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/gobusybox/src/pkg/bb"
	"github.com/u-root/gobusybox/src/pkg/golang"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run . OUTPUT")
		os.Exit(2)
	}
	if err := build(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "build the debug tools:", err)
		os.Exit(1)
	}
}

// build makes the program in a directory of its own and writes it compressed.
func build(output string) (err error) {
	dir, err := os.MkdirTemp("", "pod-debug-tools-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	commands, err := commands()
	if err != nil {
		return err
	}
	env := golang.Default()
	env.CgoEnabled = false
	env.BuildTags = []string{"goshliner"} // the small one of gosh's line editors
	if err := env.CompilerInit(); err != nil {
		return fmt.Errorf("find the Go compiler: %w", err)
	}
	source, program := filepath.Join(dir, "src"), filepath.Join(dir, "tools")
	if err := os.Mkdir(source, 0o700); err != nil {
		return err
	}
	err = bb.BuildBusybox(log.New(os.Stderr, "", 0), &bb.Opts{
		Env: env, GenSrcDir: source, CommandPaths: commands, BinaryPath: program, GoBuildOpts: &golang.BuildOpts{},
	})
	if err != nil {
		return err
	}
	layer, err := archive(program, commands)
	if err != nil {
		return fmt.Errorf("write the layer: %w", err)
	}
	return compress(layer, output)
}

// commands are the packages that commands.go imports, and those here.
func commands() ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "commands.go", nil, parser.ImportsOnly)
	if err != nil {
		return nil, fmt.Errorf("read the list of commands: %w", err)
	}
	var paths []string
	for _, imported := range file.Imports {
		path, err := strconv.Unquote(imported.Path.Value)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return append(paths, "./env", "./nslookup", "./sh"), nil
}

// archive is the image's layer: the program, a link for each command, and what
// programs expect of a root file system. Nothing in it depends on the day.
func archive(program string, commands []string) ([]byte, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(h tar.Header, content []byte) {
		h.ModTime, h.Size = time.Unix(0, 0), int64(len(content))
		if err == nil {
			err = w.WriteHeader(&h)
		}
		if err == nil {
			_, err = w.Write(content)
		}
	}
	for _, dir := range []string{"bin/", "dev/", "etc/", "proc/", "root/", "run/", "sys/", "tmp/", "usr/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		add(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/tools", Mode: 0o755}, data)
	for _, command := range commands {
		if name := path.Base(command); name != "tools" {
			add(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "tools", Mode: 0o777}, nil)
		}
	}
	// Scripts say #!/usr/bin/env and the like.
	add(tar.Header{Typeflag: tar.TypeSymlink, Name: "usr/bin", Linkname: "../bin", Mode: 0o777}, nil)
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/group", Mode: 0o644}, []byte("root:x:0:\nnogroup:x:65534:\n"))
	return buf.Bytes(), errors.Join(err, w.Close())
}

// compress writes the layer; the name appears when the content is whole.
func compress(data []byte, output string) error {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return err
	}
	packed := w.EncodeAll(data, nil)
	if err := os.WriteFile(output+".new", packed, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "debug tools: %d bytes, %d compressed\n", len(data), len(packed))
	return os.Rename(output+".new", output)
}
