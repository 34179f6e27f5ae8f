// Package jsononce encodes and decodes values of types of which a process has few. Before the
// first value of a type, encoding/json builds encoders and sorted tables of fields for all
// types that a value of it may hold: 0.6 ms for a description of a container, most of which
// is absent. That pays from some ten values on.
package jsononce

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Marshal returns what json.Marshal returns, and fails when that does. Only types of values
// that are there are looked at, and types that encode themselves, or ask for what is rare
// (embedded structs, numbers in strings, keys that are not strings), encoding/json encodes.
// Two fields of a struct may not have one name.
func Marshal(v any) ([]byte, error) {
	return appendValue(make([]byte, 0, 4096), reflect.ValueOf(v), 0)
}

// maxDepth is where json.Marshal takes over, which finds out about cycles.
const maxDepth = 200

func appendValue(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if !v.IsValid() {
		return append(b, "null"...), nil
	}
	t := v.Type()
	k := about(t)
	if depth > maxDepth || k.itself || k.rare {
		return appendOther(b, v)
	}
	switch t.Kind() { //nolint:exhaustive // the others are encoding/json's
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, v.Uint(), 10), nil
	case reflect.String:
		return appendString(b, v.String())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		return appendValue(b, v.Elem(), depth+1)
	case reflect.Struct:
		return appendStruct(b, v, k, depth)
	case reflect.Map:
		return appendMap(b, v, depth)
	case reflect.Slice:
		switch {
		case v.IsNil():
			return append(b, "null"...), nil
		case t.Elem().Kind() == reflect.Uint8:
			return appendOther(b, v)
		}
		return appendList(b, v, depth)
	case reflect.Array:
		return appendList(b, v, depth)
	}
	return appendOther(b, v)
}

// appendOther has encoding/json encode v, by its address where it has one, since that is
// what decides which methods it has.
func appendOther(b []byte, v reflect.Value) ([]byte, error) {
	if v.CanAddr() {
		v = v.Addr()
	}
	data, err := json.Marshal(v.Interface())
	return append(b, data...), err
}

func appendString(b []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			data, err := json.Marshal(s)
			return append(b, data...), err
		}
	}
	return append(append(append(b, '"'), s...), '"'), nil
}

func appendList(b []byte, v reflect.Value, depth int) ([]byte, error) {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendValue(b, v.Index(i), depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendMap(b []byte, v reflect.Value, depth int) ([]byte, error) {
	switch key := v.Type().Key(); {
	case v.IsNil():
		return append(b, "null"...), nil
	case key.Kind() != reflect.String || about(key).itself:
		return appendOther(b, v)
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendString(b, key.String()); err != nil {
			return nil, err
		}
		if b, err = appendValue(append(b, ':'), v.MapIndex(key), depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendStruct(b []byte, v reflect.Value, k *known, depth int) ([]byte, error) {
	begin := len(b)
	b = append(b, '{')
	for _, f := range k.fields {
		value := v.Field(f.index)
		if f.omitEmpty && isEmpty(value) || f.omitZero && isZero(value) {
			continue
		}
		if len(b) > begin+1 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendString(b, f.name); err != nil {
			return nil, err
		}
		if b, err = appendValue(append(b, ':'), value, depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// isEmpty is what omitempty asks for.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() { //nolint:exhaustive // structs are never empty
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// isZero is what omitzero asks for: a type that is no pointer may say itself what its zero is.
func isZero(v reflect.Value) bool {
	if !v.CanAddr() { // a copy has all methods
		boxed := reflect.New(v.Type()).Elem()
		boxed.Set(v)
		v = boxed
	}
	if z, ok := v.Addr().Interface().(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	return v.IsZero()
}
