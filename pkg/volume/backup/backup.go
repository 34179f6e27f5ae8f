// Package backup writes the content of a volume as an archive that proves itself, and
// makes a content of it again. The archive is a tar, compressed with zstd: a
// description, the files, and last a manifest with every file's digest, owner, mode,
// times and attributes. What is read back is compared with that, entry for entry, before
// it counts. When a volume may be read, and how the new content takes the old one's place,
// is libpod's matter.
package backup

import (
	"archive/tar"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Names in the archive.
const (
	aboutName    = "pod-volume.json"
	manifestName = "manifest.jsonl"
	dataName     = "data"
	// sparseKey marks files with holes, xattrKey begins the attributes, in PAX records.
	sparseKey = "POD.sparse"
	xattrKey  = "SCHILY.xattr."
)

// format is the version of the archive; a newer one is refused.
const format = 1

// About describes a backup.
type About struct {
	Format int `json:"format"`
	// Volume and Labels are of the volume that was read.
	Volume  string            `json:"volume"`
	Labels  map[string]string `json:"labels,omitempty"`
	Created time.Time         `json:"created"`
	// Live: containers may have written meanwhile.
	Live bool `json:"live,omitempty"`
}

// Name is a path or the target of a link. Linux has any bytes in them, JSON has not.
type Name string

// MarshalJSON writes names that are no UTF-8 as base64.
func (n Name) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(n)) {
		return json.Marshal(string(n))
	}
	return json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString([]byte(n))})
}

// UnmarshalJSON reads both forms.
func (n *Name) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, (*string)(n))
	}
	var other struct{ Base64 []byte }
	err := json.Unmarshal(data, &other)
	*n = Name(other.Base64)
	return err
}

// Entry is a line of the manifest: all that is kept of a file.
type Entry struct {
	// Path is below the volume; "." is the volume itself.
	Path Name `json:"path"`
	// Type is dir, file, link, hardlink, fifo, char or block.
	Type   string            `json:"type"`
	Mode   uint32            `json:"mode"`
	UID    int               `json:"uid"`
	GID    int               `json:"gid"`
	MTime  int64             `json:"mtime_ns"`
	Size   int64             `json:"size,omitempty"`
	SHA256 string            `json:"sha256,omitempty"`
	Link   Name              `json:"link,omitempty"`
	Xattrs map[string][]byte `json:"xattrs,omitempty"`
	Major  int64             `json:"major,omitempty"`
	Minor  int64             `json:"minor,omitempty"`
	Sparse bool              `json:"sparse,omitempty"`
}

// Equal says whether both tell the same.
func (e *Entry) Equal(other *Entry) bool {
	a, b := *e, *other
	a.Xattrs, b.Xattrs = nil, nil
	return a.Path == b.Path && a.Type == b.Type && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.MTime == b.MTime &&
		a.Size == b.Size && a.SHA256 == b.SHA256 && a.Link == b.Link && a.Major == b.Major && a.Minor == b.Minor && a.Sparse == b.Sparse &&
		maps.EqualFunc(e.Xattrs, other.Xattrs, slices.Equal[[]byte])
}

// kindOfTar is the type in the manifest of one of tar; empty if there is none.
func kindOfTar(flag byte) string {
	switch flag {
	case tar.TypeDir:
		return "dir"
	case tar.TypeReg:
		return "file"
	case tar.TypeSymlink:
		return "link"
	case tar.TypeLink:
		return "hardlink"
	case tar.TypeFifo:
		return "fifo"
	case tar.TypeChar:
		return "char"
	case tar.TypeBlock:
		return "block"
	}
	return ""
}

// header is the entry in tar's form.
func (e *Entry) header() *tar.Header {
	h := &tar.Header{
		Name: dataName + "/" + string(e.Path), Mode: int64(e.Mode), Uid: e.UID, Gid: e.GID, Size: e.Size, Linkname: string(e.Link),
		ModTime: time.Unix(0, e.MTime), Devmajor: e.Major, Devminor: e.Minor, Format: tar.FormatPAX, PAXRecords: map[string]string{},
	}
	if e.Path == "." {
		h.Name = dataName
	}
	switch e.Type {
	case "dir":
		h.Typeflag = tar.TypeDir
		h.Name += "/"
	case "file":
		h.Typeflag = tar.TypeReg
	case "hardlink":
		h.Typeflag = tar.TypeLink
		h.Linkname = dataName + "/" + string(e.Link)
	case "link":
		h.Typeflag = tar.TypeSymlink
	case "fifo":
		h.Typeflag = tar.TypeFifo
	case "char":
		h.Typeflag = tar.TypeChar
	case "block":
		h.Typeflag = tar.TypeBlock
	}
	if e.Sparse {
		h.PAXRecords[sparseKey] = "1"
	}
	for key, value := range e.Xattrs {
		h.PAXRecords[xattrKey+paxKey(key)] = string(value)
	}
	return h
}

// paxKey is the name of an attribute without what a PAX record cannot have in its key.
func paxKey(name string) string {
	return strings.NewReplacer("%", "%25", "=", "%3D").Replace(name)
}

func unPAXKey(key string) string {
	return strings.NewReplacer("%25", "%", "%3D", "=").Replace(key)
}

// errForeign says that an archive is no backup.
var errForeign = errors.New("this is no backup that pod has made: `pod volume import` takes archives of other origin")

// entryOf is the reverse of header; the digest is added when the content was read.
func entryOf(h *tar.Header) (*Entry, error) {
	path, ok := strings.CutPrefix(strings.TrimSuffix(h.Name, "/"), dataName)
	if !ok || (path != "" && path[0] != '/') {
		return nil, fmt.Errorf("%q: %w", h.Name, errForeign)
	}
	if path = strings.TrimPrefix(path, "/"); path == "" {
		path = "."
	}
	kind := kindOfTar(h.Typeflag)
	if kind == "" {
		return nil, fmt.Errorf("%q has type %q: %w", h.Name, h.Typeflag, errForeign)
	}
	e := &Entry{
		Path: Name(path), Type: kind, Mode: uint32(h.Mode & 0o7777), UID: h.Uid, GID: h.Gid, MTime: h.ModTime.UnixNano(), //nolint:gosec // twelve bits
		Size: h.Size, Link: Name(h.Linkname), Major: h.Devmajor, Minor: h.Devminor, Sparse: h.PAXRecords[sparseKey] != "",
	}
	if kind == "hardlink" {
		if e.Link, ok = cutName(e.Link); !ok {
			return nil, fmt.Errorf("%q: %w", h.Name, errForeign)
		}
	}
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, xattrKey); ok {
			if e.Xattrs == nil {
				e.Xattrs = map[string][]byte{}
			}
			e.Xattrs[unPAXKey(name)] = []byte(value)
		}
	}
	return e, nil
}

func cutName(n Name) (Name, bool) {
	rest, ok := strings.CutPrefix(string(n), dataName+"/")
	return Name(rest), ok
}
