package installer

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// split makes files of one with several: parts between lines of three dashes, each
// with its name in a comment, # FileName=NAME, and its kind in its own section.
func split(whole File) ([]File, error) {
	var files []File
	var part []byte
	begin, number := 0, 0
	end := func() error {
		text := bytes.TrimSpace(part)
		if len(text) == 0 {
			return nil
		}
		// Lines of the part count from its first that is not empty.
		skipped := bytes.Count(part[:bytes.Index(part, text)], []byte("\n"))
		name, err := partName(string(text))
		if err != nil {
			return fmt.Errorf("line %d: %w", begin+skipped+1, err)
		}
		files = append(files, File{
			Name: path.Join(path.Dir(whole.Name), name), Source: whole.Source, Line: begin + skipped,
			Data: append(slices.Clone(text), '\n'), Mode: 0o644,
		})
		return nil
	}
	for line := range bytes.Lines(whole.Data) {
		number++
		if string(bytes.TrimSpace(line)) == "---" {
			if err := end(); err != nil {
				return nil, err
			}
			part, begin = nil, number
			continue
		}
		part = append(part, line...)
	}
	if err := end(); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("no valid quadlet sections found in it")
	}
	return files, duplicates(files)
}

// partName is the file name of a part: FileName and the extension of its kind.
func partName(text string) (string, error) {
	var name, extension string
	found := false
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if comment, ok := strings.CutPrefix(line, "#"); ok && !found {
			if value, ok := strings.CutPrefix(strings.TrimSpace(comment), "FileName="); ok {
				name, found = strings.TrimSpace(value), true
			}
		}
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") && extension == "" {
			if ext := "." + strings.ToLower(line[1:len(line)-1]); IsUnit(ext) {
				extension = ext
			}
		}
	}
	switch {
	case extension == "":
		return "", errors.New("no recognized quadlet section found: [Container], [Volume], [Network], [Pod], [Image], [Build], [Kube] or [Artifact] says what it is")
	case !found:
		return "", errors.New("missing required '# FileName=<name>' comment at the beginning of quadlet section")
	case name == "":
		return "", errors.New("FileName comment found but no filename specified")
	case strings.ContainsAny(name, `/\`):
		return "", fmt.Errorf("FileName '%s' cannot contain path separators", name)
	}
	// The peer's names have no extension; with the right one they are meant the same.
	name = strings.TrimSuffix(name, extension) + extension
	return name, checkName(name)
}
