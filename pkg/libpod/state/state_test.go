package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	jsoniter "github.com/json-iterator/go"
)

// open opens a Store that is closed with the test.
func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// place is an empty graph root and run directory.
func place(t *testing.T) Options {
	t.Helper()
	return Options{GraphRoot: t.TempDir(), RunDir: t.TempDir(), BootID: "boot-1"}
}

// id makes a full ID from its beginning.
func id(prefix string) string { return prefix + strings.Repeat("0", 64-len(prefix)) }

// add adds containers by name=prefix; a leading ~ makes one volatile.
func add(t *testing.T, s *Store, containers ...string) {
	t.Helper()
	for n, c := range containers {
		name, prefix, _ := strings.Cut(strings.TrimPrefix(c, "~"), "=")
		must(t, s.Add(t.Context(), &Container{
			ID: id(prefix), Name: name, Volatile: c[0] == '~', Created: time.Unix(int64(n), 0).UTC(),
		}))
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	add(t, s, "web=aa11", "db=aa22", "~job=bb11", "~aa=cc11", "cc11=dd11", "~"+id("aa22")+"=ee11")
	for name, tc := range map[string]struct {
		arg, want string
		err       string
	}{
		"durable name":                 {arg: "web", want: "aa11"},
		"volatile name":                {arg: "job", want: "bb11"},
		"full ID":                      {arg: id("aa11"), want: "aa11"},
		"name before ID prefix":        {arg: "aa", want: "cc11"},
		"name before prefix elsewhere": {arg: "cc11", want: "dd11"},
		"name before full ID":          {arg: id("aa22"), want: "ee11"},
		"prefix of durable":            {arg: "aa1", want: "aa11"},
		"prefix of volatile":           {arg: "b", want: "bb11"},
		"prefix is of IDs only":        {arg: "we", err: `no container with name or ID "we" found: no such container`},
		"ambiguous":                    {arg: "a", err: `container ID prefix "a" is ambiguous: it matches aa1100000000, aa2200000000`},
		"upper case is no ID":          {arg: "AA1", err: `no container with name or ID "AA1" found: no such container`},
		"empty":                        {arg: "", err: `no container with name or ID "" found: no such container`},
		"longer than an ID":            {arg: id("aa11") + "0", err: "no such container"},
		"quotes":                       {arg: "' OR 1=1 --", err: "no such container"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Lookup(t.Context(), tc.arg)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got %v, %v; want error %s", got, err, tc.err)
				}
				return
			}
			must(t, err)
			if got.ID != id(tc.want) {
				t.Errorf("got %s, want %s", got.ID, tc.want)
			}
		})
	}
}

func TestLookupListsFewMatches(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	for _, c := range "0123456789abcdef" {
		add(t, s, "n"+string(c)+"=ab"+string(c))
	}
	_, err := s.Lookup(t.Context(), "ab")
	var amb ErrAmbiguous
	if !errors.As(err, &amb) || len(amb.Matches) != maxMatches || !amb.More || !strings.HasSuffix(err.Error(), "ab9000000000, …") {
		t.Errorf("got %v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	o := place(t)
	for _, volatile := range []bool{false, true} {
		s := open(t, o)
		want := sample(7, volatile)
		want.ID, want.Name = id(map[bool]string{true: "aa", false: "bb"}[volatile]), map[bool]string{true: "v", false: "d"}[volatile]
		want.Run = sampleRun()
		must(t, s.Add(t.Context(), want))
		other := open(t, o)
		got, err := other.Get(t.Context(), want.ID)
		must(t, err)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		want.Wanted, want.Restarts, want.Run = false, 3, nil
		must(t, other.Update(t.Context(), want))
		exit := Exit{Code: 137, OOMKilled: true, FinishedAt: want.Created.Add(time.Hour)}
		must(t, other.Finish(t.Context(), want.ID, exit))
		want.Last = &exit
		if got, err = s.Get(t.Context(), want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("after Finish: %v\ngot  %+v\nwant %+v", err, got, want)
		}
	}
}

// fill sets every field of a value to something that is not zero.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 5).UTC()))
			return
		}
		if v.Type() == reflect.TypeFor[netip.Addr]() {
			v.Set(reflect.ValueOf(netip.MustParseAddr("10.0.0.1")))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), depth+i)
		}
	case reflect.Slice:
		switch {
		case v.Type() == reflect.TypeFor[json.RawMessage]():
			v.Set(reflect.ValueOf(json.RawMessage(`{"a":[1,"x"]}`)))
		case depth%3 == 0: // empty and nil differ for an entrypoint
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		default:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0), depth)
			fill(v.Index(1), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth)
		fill(value, depth)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("é\"\\\n<&>\u2028 " + strings.Repeat("x", depth))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(-int64(depth) - 1)
	case reflect.Uint, reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		v.SetUint(uint64(depth) + 1)
	case reflect.Float64:
		v.SetFloat(1.5)
	}
}

// The decoder of long lists must understand what the standard library wrote.
func TestDecodersAgree(t *testing.T) {
	t.Parallel()
	for depth := range 4 {
		var c Container
		var r Run
		fill(reflect.ValueOf(&c).Elem(), depth)
		fill(reflect.ValueOf(&r).Elem(), depth)
		doc, err := json.Marshal(&c)
		must(t, err)
		run, err := json.Marshal(&r)
		must(t, err)
		rec := record{id: "x", name: "y", doc: doc, run: run}
		std, err := decode(rec, json.Unmarshal)
		must(t, err)
		iter, err := decode(rec, jsoniter.ConfigCompatibleWithStandardLibrary.Unmarshal)
		must(t, err)
		if !reflect.DeepEqual(std, iter) {
			t.Errorf("standard library:\n%+v\njson-iterator:\n%+v", std, iter)
		}
		// Through JSON: an empty list comes back as none.
		again, err := json.Marshal(std.Run)
		must(t, err)
		if !bytes.Equal(again, run) {
			t.Errorf("run: got %s, want %s", again, run)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ first, second string }{
		"durable, durable":   {"x=aa", "x=bb"},
		"durable, volatile":  {"x=aa", "~x=bb"},
		"volatile, durable":  {"~x=aa", "x=bb"},
		"volatile, volatile": {"~x=aa", "~x=bb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := place(t)
			s := open(t, o)
			add(t, s, tc.first)
			second := &Container{ID: id("bb"), Name: "x", Volatile: tc.second[0] == '~', Run: &Run{Phase: PhaseCreating}}
			err := open(t, o).Add(t.Context(), second)
			if !errors.Is(err, ErrNameInUse{Name: "x", ID: id("aa")}) ||
				!strings.Contains(err.Error(), `the container name "x" is already in use by `+id("aa")) {
				t.Errorf("Add: %v", err)
			}
			if ids, err := s.ListIDs(t.Context()); err != nil || !slices.Equal(ids, []string{id("aa")}) {
				t.Errorf("ListIDs: %v, %v", ids, err)
			}
			second.ID, second.Name = id("aa"), "y"
			if err := s.Add(t.Context(), second); !errors.Is(err, ErrIDInUse{ID: id("aa")}) {
				t.Errorf("Add of the same ID: %v", err)
			}
			second.ID = id("bb")
			must(t, s.Add(t.Context(), second))
			if err := s.Rename(t.Context(), id("bb"), "x"); !errors.Is(err, ErrNameInUse{Name: "x", ID: id("aa")}) {
				t.Errorf("Rename: %v", err)
			}
			must(t, s.Rename(t.Context(), id("bb"), "y"))
			must(t, s.Rename(t.Context(), id("bb"), "z"))
			if c, err := s.Lookup(t.Context(), "z"); err != nil || c.ID != id("bb") || c.Run == nil {
				t.Errorf("after Rename: %+v, %v", c, err)
			}
			must(t, s.Remove(t.Context(), id("aa")))
			must(t, s.Rename(t.Context(), id("bb"), "x"))
		})
	}
}

func TestListIsOrdered(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	var want []string
	for n := range 2 * many { // more than the quick decoder's threshold
		c := sample(n, n%3 == 0)
		c.Created = time.Unix(int64(1000-n), 0).UTC()
		if n%2 == 0 {
			c.Run = &Run{Phase: PhaseRunning}
		}
		must(t, s.Add(t.Context(), c))
		want = append([]string{c.ID}, want...)
	}
	all, err := s.List(t.Context())
	must(t, err)
	var got []string
	for _, c := range all {
		got = append(got, c.ID)
		n := int(1000 - c.Created.Unix())
		if c.Volatile != (n%3 == 0) || (c.Run != nil) != (n%2 == 0) || c.Name != sample(n, false).Name {
			t.Errorf("container %d: %+v", n, c)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	ids, err := s.ListIDs(t.Context())
	if err != nil || !slices.Equal(ids, want) {
		t.Errorf("ListIDs: %v, %v", ids, err)
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	phases := []Phase{
		PhaseCreating, PhaseCreated, PhaseStarting, PhaseInit, PhaseRunning, PhasePaused, PhaseCleaning, PhaseRemoving,
	}
	for n, phase := range phases {
		c := sample(n, n%2 == 0)
		c.Name, c.Run = string(phase), &Run{Phase: phase}
		must(t, s.Add(t.Context(), c))
	}
	add(t, s, "none=ff")
	pending, err := s.Pending(t.Context())
	must(t, err)
	var got []Phase
	for _, c := range pending {
		got = append(got, Phase(c.Name))
	}
	if want := []Phase{PhaseCreating, PhaseStarting, PhaseInit, PhaseCleaning, PhaseRemoving}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMissingContainer(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	gone := id("aa")
	for name, do := range map[string]func(context.Context) error{
		"Get":             func(ctx context.Context) error { _, err := s.Get(ctx, gone); return err },
		"SetRun":          func(ctx context.Context) error { return s.SetRun(ctx, gone, sampleRun()) },
		"Update":          func(ctx context.Context) error { return s.Update(ctx, &Container{ID: gone, Name: "x"}) },
		"Update volatile": func(ctx context.Context) error { return s.Update(ctx, &Container{ID: gone, Name: "x", Volatile: true}) },
		"Finish":          func(ctx context.Context) error { return s.Finish(ctx, gone, Exit{}) },
		"Rename":          func(ctx context.Context) error { return s.Rename(ctx, gone, "y") },
		"Remove":          func(ctx context.Context) error { return s.Remove(ctx, gone) },
	} {
		if err := do(t.Context()); !errors.Is(err, ErrNoContainer{Name: gone}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := count(t, s, "run.runs"); n != 0 {
		t.Errorf("%d runs of no container", n)
	}
	must(t, s.SetRun(t.Context(), gone, nil))
}

// count counts the rows of a table.
func count(t *testing.T, s *Store, table string) (n int) {
	t.Helper()
	must(t, s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

func TestRemoveLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"x=aa", "~x=aa"} {
		s := open(t, place(t))
		add(t, s, c)
		must(t, s.SetRun(t.Context(), id("aa"), sampleRun()))
		must(t, s.AddExec(t.Context(), &Exec{ID: id("ee"), Container: id("aa")}))
		must(t, s.Remove(t.Context(), id("aa")))
		for _, table := range []string{"main.containers", "run.containers", "run.runs", "run.execs"} {
			if n := count(t, s, table); n != 0 {
				t.Errorf("%s: %d rows in %s", c, n, table)
			}
		}
	}
}

func TestOrphansAreDropped(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		drop func(*Store) error
		left int
	}{
		"by the next removal": {func(s *Store) error { return s.Remove(t.Context(), id("bb")) }, 0},
		"by themselves":       {func(s *Store) error { return s.DropOrphans(t.Context()) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, place(t))
			add(t, s, "x=aa", "y=bb")
			for _, c := range []string{id("aa"), id("bb")} {
				must(t, s.SetRun(t.Context(), c, sampleRun()))
			}
			// What a kill between the two commits of a Remove leaves.
			_, err := s.db.ExecContext(t.Context(), "DELETE FROM main.containers WHERE name = 'x'")
			must(t, err)
			if all, err := s.List(t.Context()); err != nil || len(all) != 1 {
				t.Errorf("List: %v, %v", all, err)
			}
			must(t, test.drop(s))
			if n := count(t, s, "run.runs"); n != test.left {
				t.Errorf("%d runs, want %d", n, test.left)
			}
		})
	}
}

func TestExecOfNoContainer(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	err := s.AddExec(t.Context(), &Exec{ID: id("cc"), Container: id("aa")})
	if !errors.As(err, new(ErrNoContainer)) {
		t.Errorf("got %v", err)
	}
	if n := count(t, s, "run.execs"); n != 0 {
		t.Errorf("%d exec sessions", n)
	}
}

func TestAnotherBoot(t *testing.T) {
	t.Parallel()
	o := place(t)
	s := open(t, o)
	add(t, s, "durable=aa", "~volatile=bb")
	for _, c := range []string{id("aa"), id("bb")} {
		must(t, s.SetRun(t.Context(), c, &Run{Phase: PhaseStarting}))
		must(t, s.AddExec(t.Context(), &Exec{ID: id("e" + c[:2]), Container: c}))
	}
	must(t, s.AddVolume(t.Context(), &Volume{Name: "data"}))

	o.BootID = "boot-2"
	next := open(t, o)
	all, err := next.List(t.Context())
	must(t, err)
	if len(all) != 1 || all[0].Name != "durable" || all[0].Run != nil {
		t.Errorf("List: %+v", all)
	}
	if p, err := next.Pending(t.Context()); err != nil || len(p) != 0 {
		t.Errorf("Pending: %v, %v", p, err)
	}
	if e, err := next.Execs(t.Context(), ""); err != nil || len(e) != 0 {
		t.Errorf("Execs: %v, %v", e, err)
	}
	if _, err := next.Lookup(t.Context(), "volatile"); !errors.As(err, new(ErrNoContainer)) {
		t.Errorf("Lookup of a volatile container: %v", err)
	}
	if n := count(t, s, "run.runs"); n != 2 {
		t.Errorf("a reader purged: %d runs", n)
	}
	stale, err := next.Stale(t.Context())
	must(t, err)
	if len(stale) != 1 || stale[0].Name != "volatile" || !stale[0].Volatile {
		t.Fatalf("Stale: %+v", stale)
	}
	// Its name is free, and a write purges.
	add(t, next, "~volatile=cc")
	if n := count(t, s, "run.runs") + count(t, s, "run.execs"); n != 0 {
		t.Errorf("%d rows of the last boot after a write", n)
	}
	must(t, next.Remove(t.Context(), stale[0].ID))
	if stale, err = next.Stale(t.Context()); err != nil || len(stale) != 0 {
		t.Errorf("Stale after Remove: %v, %v", stale, err)
	}
	if _, err := next.Volume(t.Context(), "data"); err != nil {
		t.Error(err)
	}
}

func TestExecs(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	add(t, s, "x=aa", "y=bb")
	for n, e := range []string{"e2", "e1", "ff"} {
		must(t, s.AddExec(t.Context(), &Exec{ID: id(e), Container: id("aa"), Created: time.Unix(int64(n), 0)}))
	}
	must(t, s.AddExec(t.Context(), &Exec{ID: id("dd"), Container: id("bb"), Command: []string{"sh"}}))
	execs, err := s.Execs(t.Context(), id("aa"))
	must(t, err)
	if len(execs) != 3 || execs[0].ID != id("e2") || execs[2].ID != id("ff") {
		t.Errorf("Execs: %+v", execs)
	}
	e, err := s.LookupExec(t.Context(), "d")
	if err != nil || e.Container != id("bb") || e.Command[0] != "sh" {
		t.Fatalf("LookupExec: %+v, %v", e, err)
	}
	e.Exited, e.Code = true, 5
	must(t, s.UpdateExec(t.Context(), e))
	if e, err = s.LookupExec(t.Context(), id("dd")); err != nil || !e.Exited || e.Code != 5 {
		t.Errorf("after UpdateExec: %+v, %v", e, err)
	}
	if _, err := s.LookupExec(t.Context(), "e"); !errors.As(err, new(ErrAmbiguous)) ||
		!strings.Contains(err.Error(), `exec session ID prefix "e" is ambiguous: it matches e10000000000, e20000000000`) {
		t.Errorf("ambiguous: %v", err)
	}
	must(t, s.RemoveExec(t.Context(), id("dd")))
	for _, missing := range []string{"dd", "", "x", "%"} {
		if _, err := s.LookupExec(t.Context(), missing); !errors.Is(err, ErrNoExec{ID: missing}) {
			t.Errorf("LookupExec %q: %v", missing, err)
		}
	}
	if err := s.RemoveExec(t.Context(), id("dd")); !errors.As(err, new(ErrNoExec)) {
		t.Errorf("RemoveExec: %v", err)
	}
}

func TestVolumes(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	for _, name := range []string{"data", "data2", "logs", "lo%gs"} {
		must(t, s.AddVolume(t.Context(), &Volume{Name: name, Driver: "local", NeedsCopyUp: true}))
	}
	err := s.AddVolume(t.Context(), &Volume{Name: "data"})
	if !errors.Is(err, ErrVolumeInUse{Name: "data"}) || !strings.Contains(err.Error(), "volume with name data already exists") {
		t.Errorf("AddVolume: %v", err)
	}
	for arg, want := range map[string]string{"data": "data", "data2": "data2", "log": "logs", "lo%": "lo%gs"} {
		if v, err := s.Volume(t.Context(), arg); err != nil || v.Name != want || !v.NeedsCopyUp {
			t.Errorf("Volume %s: %+v, %v", arg, v, err)
		}
	}
	for arg, want := range map[string]string{
		"dat":  `volume name prefix "dat" is ambiguous: it matches data, data2`,
		"%":    `no volume with name "%" found: no such volume`,
		"DATA": `no volume with name "DATA" found: no such volume`,
		"":     `no volume with name "" found: no such volume`,
	} {
		if _, err := s.Volume(t.Context(), arg); err == nil || err.Error() != want {
			t.Errorf("Volume %q: %v, want %s", arg, err, want)
		}
	}
	must(t, s.UpdateVolume(t.Context(), &Volume{Name: "logs", UID: 5}))
	if v, err := s.Volume(t.Context(), "logs"); err != nil || v.UID != 5 {
		t.Errorf("after UpdateVolume: %+v, %v", v, err)
	}
	must(t, s.RemoveVolume(t.Context(), "logs"))
	if err := s.RemoveVolume(t.Context(), "logs"); !errors.Is(err, ErrNoVolume{Name: "logs"}) {
		t.Errorf("RemoveVolume: %v", err)
	}
	all, err := s.Volumes(t.Context())
	if err != nil || len(all) != 3 || all[0].Name != "data" {
		t.Errorf("Volumes: %+v, %v", all, err)
	}
}

func TestVolumeUsers(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	mount, anonymous, named, bind := sample(1, false), sample(2, true), sample(3, false), sample(4, false)
	for _, c := range []*Container{anonymous, named, bind} {
		c.Spec.Storage.Mounts = nil
	}
	anonymous.AnonymousVolumes = []string{"0abc", "data"}
	named.Name = "data" // a name, not a use
	bind.Spec.Storage.Mounts = append(bind.Spec.Storage.Mounts, mount.Spec.Storage.Mounts[0])
	bind.Spec.Storage.Mounts[0].Type = "bind"
	for _, c := range []*Container{mount, anonymous, named, bind} {
		must(t, s.Add(t.Context(), c))
	}
	for name, want := range map[string][]string{
		"data": {mount.ID, anonymous.ID}, "0abc": {anonymous.ID}, "dat": nil, "nosuch": nil,
	} {
		if got, err := s.VolumeUsers(t.Context(), name); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestCancelledContext(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Add(ctx, sample(1, false)); !errors.Is(err, context.Canceled) {
		t.Errorf("Add: %v", err)
	}
	if _, err := s.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("List: %v", err)
	}
	if n := count(t, s, "main.containers"); n != 0 {
		t.Errorf("%d rows", n)
	}
}
