package jsononce

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// types remembers what was found out about a named type, a *known each.
var types sync.Map //nolint:gochecknoglobals // types do not change

// known is what is to be known of a type.
type known struct {
	// itself: its values, or pointers to them, have a method to encode or decode.
	itself bool
	// rare: a struct that asks for what this package does not do.
	rare   bool
	fields []field
}

// field is one of a struct that is encoded.
type field struct {
	index               int
	name                string
	omitEmpty, omitZero bool
}

func about(t reflect.Type) *known {
	if t.PkgPath() == "" && t.Kind() != reflect.Struct { // built in, or made of others without a name
		return &plain
	}
	if k, ok := types.Load(t); ok {
		return k.(*known)
	}
	k := &known{itself: hasMethod(t)}
	if t.Kind() == reflect.Struct && !k.itself {
		k.look(t)
	}
	types.Store(t, k)
	return k
}

// plain is what all types are about which there is nothing to know.
var plain known //nolint:gochecknoglobals // never written

func hasMethod(t reflect.Type) bool {
	if t == reflect.TypeFor[json.Number]() { // a string without a method, and yet no string
		return true
	}
	pointer := reflect.PointerTo(t) // which has the methods of t, too
	if pointer.NumMethod() == 0 && t.Kind() != reflect.Interface {
		return false
	}
	return slices.ContainsFunc([]reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler](),
		reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}, func(method reflect.Type) bool { return pointer.Implements(method) || t.Implements(method) })
}

// look finds the fields of a struct.
func (k *known) look(t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		omitZero := strings.Contains(options, "omitzero")
		pointer := f.Type.Kind() == reflect.Pointer || f.Type.Kind() == reflect.Interface
		if f.Anonymous || strings.Contains(options, "string") || omitZero && pointer {
			k.rare = true
			return
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		k.fields = append(k.fields, field{i, name, strings.Contains(options, "omitempty"), omitZero})
	}
}
