package jsononce

import (
	"encoding/json"
	"reflect"
)

// Unmarshal does what json.Unmarshal does with what Marshal wrote: names of fields must be
// written exactly as in the type.
func Unmarshal(data []byte, v any) error {
	into := reflect.ValueOf(v)
	if into.Kind() != reflect.Pointer || into.IsNil() {
		return json.Unmarshal(data, v) // which says what is wrong
	}
	return decode(data, into.Elem())
}

// decode decodes into v, which has an address.
func decode(data []byte, v reflect.Value) error {
	t := v.Type()
	k := about(t)
	switch kind := t.Kind(); {
	case k.itself || k.rare:
	case kind == reflect.Struct:
		return decodeStruct(data, v, k)
	case kind == reflect.Pointer && string(data) != "null":
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		return decode(data, v.Elem())
	case kind == reflect.Slice && holdsStructs(t.Elem()):
		return decodeSlice(data, v)
	case kind == reflect.Map && t.Key().Kind() == reflect.String && !about(t.Key()).itself && holdsStructs(t.Elem()):
		return decodeMap(data, v)
	}
	return json.Unmarshal(data, v.Addr().Interface())
}

// holdsStructs says whether encoding/json would build tables for a type.
func holdsStructs(t reflect.Type) bool {
	switch t.Kind() { //nolint:exhaustive // the others hold nothing
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		return holdsStructs(t.Elem())
	case reflect.Struct:
		return true
	}
	return false
}

func decodeStruct(data []byte, v reflect.Value, k *known) error {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	for _, f := range k.fields {
		if part, ok := parts[f.name]; ok {
			if err := decode(part, v.Field(f.index)); err != nil {
				return err
			}
		}
	}
	return nil
}

func decodeSlice(data []byte, v reflect.Value) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if parts == nil {
		v.SetZero()
		return nil
	}
	v.Set(reflect.MakeSlice(v.Type(), len(parts), len(parts)))
	for i, part := range parts {
		if err := decode(part, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func decodeMap(data []byte, v reflect.Value) error {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if parts == nil {
		v.SetZero()
		return nil
	}
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(v.Type(), len(parts)))
	}
	for key, part := range parts {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := decode(part, value); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), value)
	}
	return nil
}
