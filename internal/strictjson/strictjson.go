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
// that what was checked would not be what is used.
func Unambiguous(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := value(decoder, 0); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// value reads one value.
func value(decoder *json.Decoder, depth int) error {
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
		if open == '{' {
			key, err := decoder.Token()
			if err != nil {
				return notJSON(err)
			}
			name, _ := key.(string)
			folded := strings.ToLower(name)
			if seen[folded] {
				return fmt.Errorf("duplicate key %q", name)
			}
			seen[folded] = true
		}
		if err := value(decoder, depth+1); err != nil {
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
