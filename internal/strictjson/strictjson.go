// Package strictjson finds JSON that two readers could understand differently.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxDepth bounds nesting.
const maxDepth = 64

// Unambiguous refuses what is not one JSON value, and objects in which two keys
// differ in case at most: Go's reader takes the last of them, others the first, so
// that what was checked would not be what is used. Where keys are names that
// somebody chose (labels, paths), case makes them different.
func Unambiguous(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := value(decoder, "", 0); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// free reports whether the keys of the object below a key are anybody's choice: Go
// reads these objects of manifests and configurations as maps.
func free(key string) bool {
	switch key {
	case "labels", "annotations", "volumes", "exposedports":
		return true
	}
	return false
}

// value reads one value, which stands below a key in lower case.
func value(decoder *json.Decoder, below string, depth int) error {
	token, err := decoder.Token()
	if err != nil {
		return notJSON(err)
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return errors.New("the JSON is nested too deeply")
	}
	seen := map[string]bool{}
	for decoder.More() {
		key := below // of a list, for what is in it
		if open == '{' {
			token, err := decoder.Token()
			if err != nil {
				return notJSON(err)
			}
			name, _ := token.(string)
			key = strings.ToLower(name)
			same := key
			if free(below) {
				same, key = name, ""
			}
			if seen[same] {
				return fmt.Errorf("duplicate key %q", name)
			}
			seen[same] = true
		}
		if err := value(decoder, key, depth+1); err != nil {
			return err
		}
	}
	_, err = decoder.Token() // the end of the object or array
	return notJSON(err)
}

func notJSON(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("not JSON: %w", err)
}
