package cli

import (
	"errors"
	"fmt"
	"os"
)

// DropIDFiles removes the files of --cidfile or --pod-id-file whose object is gone;
// there says so of what a file holds, and what names such a file.
func DropIDFiles(what string, files []string, there func(content string) bool) error {
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil || there(string(data)) {
			continue // the error has been said, or was to be ignored
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", what, err)
		}
	}
	return nil
}
