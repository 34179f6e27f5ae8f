package libpod

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/internal/jsononce"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network"
)

// What pod encodes with jsononce, filled at random, is what encoding/json writes and reads.
func TestEncodedOnce(t *testing.T) {
	for _, of := range []reflect.Type{
		reflect.TypeFor[rspec.Spec](), reflect.TypeFor[state.Container](), reflect.TypeFor[state.Run](), reflect.TypeFor[network.Result](),
	} {
		t.Run(of.String(), func(t *testing.T) {
			for seed := range uint64(200) {
				v := reflect.New(of)
				fillAny(v.Elem(), rand.New(rand.NewPCG(seed, 0)))
				compareEncoded(t, v.Interface())
				compareEncoded(t, v.Elem().Interface())
				compareDecoded(t, v.Interface())
			}
		})
	}
}

func compareEncoded(t *testing.T, v any) {
	t.Helper()
	want, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := jsononce.Marshal(v); err != nil || string(got) != string(want) {
		t.Fatalf("got  %s, %v\nwant %s", got, err, want)
	}
}

// compareDecoded holds Unmarshal of what v is encoded to against encoding/json's, into
// nothing and into something.
func compareDecoded(t *testing.T, v any) {
	t.Helper()
	data, err := jsononce.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	of := reflect.TypeOf(v).Elem()
	want, got := reflect.New(of), reflect.New(of)
	for range 2 {
		if err := json.Unmarshal(data, want.Interface()); err != nil {
			t.Fatal(err)
		}
		if err := jsononce.Unmarshal(data, got.Interface()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Fatalf("from %s\ngot  %+v\nwant %+v", data, got, want)
		}
	}
}

// fillAny gives v a value, or leaves it as it is.
func fillAny(v reflect.Value, r *rand.Rand) {
	if r.IntN(3) == 0 || !v.CanSet() {
		return
	}
	switch v.Kind() { //nolint:exhaustive // others stay zero
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.IntN(200) - 100))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(r.IntN(200)))
	case reflect.String:
		v.SetString([]string{"", "a", "b<c>", "\x01\xfe", "ü", "long and plain"}[r.IntN(6)])
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAny(v.Elem(), r)
	case reflect.Struct:
		for i := range v.NumField() {
			fillAny(v.Field(i), r)
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`{"a": [1, 2]}`))
			return
		}
		n := r.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fillAny(v.Index(i), r)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(4) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fillAny(key, r)
			fillAny(value, r)
			v.SetMapIndex(key, value)
		}
	}
}
