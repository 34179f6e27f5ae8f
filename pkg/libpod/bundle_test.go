package libpod

import (
	"reflect"
	"strings"
	"testing"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// The bundle has all of the specification that counts on Linux, under its names.
func TestOnLinux(t *testing.T) {
	ours := reflect.TypeFor[onLinux]()
	for spec := range fields(reflect.TypeFor[rspec.Spec]()) {
		field, ok := ours.FieldByName(spec.Name)
		others := spec.Tag.Get("platform")
		switch {
		case !ok && (others == "" || strings.Contains(others, "linux")):
			t.Errorf("%s is missing", spec.Name)
		case ok && (field.Type != spec.Type || field.Tag.Get("json") != spec.Tag.Get("json")):
			t.Errorf("%s is %v %q, not %v %q", spec.Name, field.Type, field.Tag.Get("json"), spec.Type, spec.Tag.Get("json"))
		}
	}
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
