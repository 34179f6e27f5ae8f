package state

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/specgen"
)

func podID(c byte) string {
	b := make([]byte, 64)
	for i := range b {
		b[i] = c
	}
	return string(b)
}

func addPod(t *testing.T, s *Store, c byte, name string) *Pod {
	t.Helper()
	infra := &Container{ID: podID(c + 1), Name: name + "-infra", Spec: specgen.Container{Pod: podID(c), IsInfra: true}, Run: &Run{Phase: PhaseCreating}}
	p := &Pod{ID: podID(c), Name: name, InfraID: infra.ID}
	if err := s.AddPod(t.Context(), p, infra); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPods(t *testing.T) {
	ctx := t.Context()
	s := open(t, place(t))
	p := addPod(t, s, 'a', "shop")
	addPod(t, s, 'c', "other")

	var taken ErrPodInUse
	if err := s.AddPod(ctx, &Pod{ID: podID('e'), Name: "shop"}, nil); !errors.As(err, &taken) || taken.ID != p.ID {
		t.Errorf("a second pod of the name: %v", err)
	}
	var named ErrNameInUse
	if err := s.AddPod(ctx, &Pod{ID: podID('e'), Name: "third"}, &Container{ID: podID('f'), Name: "shop-infra"}); !errors.As(err, &named) {
		t.Errorf("an infra container whose name is taken: %v", err)
	}
	if _, err := s.LookupPod(ctx, "third"); !errors.As(err, new(ErrNoPod)) {
		t.Errorf("the pod was added without its infra container: %v", err)
	}
	for _, name := range []string{"shop", p.ID, "aaa"} {
		if got, err := s.LookupPod(ctx, name); err != nil || got.ID != p.ID || got.InfraID != p.InfraID {
			t.Errorf("look up %s: %+v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "no", "e", "sho"} {
		if _, err := s.LookupPod(ctx, name); !errors.As(err, new(ErrNoPod)) {
			t.Errorf("look up %q: %v", name, err)
		}
	}
	if err := s.AddPod(ctx, &Pod{ID: "a0", Name: "near"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LookupPod(ctx, "a"); !errors.As(err, new(ErrAmbiguous)) {
		t.Errorf("an ambiguous prefix: %v", err)
	}

	for _, volatile := range []bool{false, true} {
		name := map[bool]string{false: "kept", true: "rm"}[volatile]
		c := &Container{ID: name, Name: name, Volatile: volatile, Spec: specgen.Container{Pod: p.ID}}
		if err := s.Add(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	members, err := s.Members(ctx, p.ID)
	if err != nil || len(members) != 3 || !members[0].Spec.IsInfra || members[0].Run == nil {
		t.Errorf("members %v, %v", members, err)
	}
	byPod, err := s.InPods(ctx)
	if err != nil || len(byPod) != 2 || len(byPod[p.ID]) != 3 {
		t.Errorf("by pod %v, %v", byPod, err)
	}

	p.Removing = true
	if err := s.UpdatePod(ctx, p); err != nil {
		t.Fatal(err)
	}
	for _, volatile := range []bool{false, true} {
		for _, pod := range []string{p.ID, podID('0')} {
			c := &Container{ID: "late", Name: "late", Volatile: volatile, Spec: specgen.Container{Pod: pod}}
			if err := s.Add(ctx, c); !errors.As(err, new(ErrNoPod)) {
				t.Errorf("a container for a pod that goes, or is not there: %v", err)
			}
			if _, err := s.Get(ctx, "late"); !errors.As(err, new(ErrNoContainer)) {
				t.Errorf("it was added all the same: %v", err)
			}
		}
	}
	if err := s.RemovePod(ctx, p.ID, p.InfraID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, p.InfraID); !errors.As(err, new(ErrNoContainer)) {
		t.Errorf("the infra container is still there: %v", err)
	}
	if err := s.RemovePod(ctx, p.ID, p.InfraID); !errors.As(err, new(ErrNoPod)) {
		t.Errorf("removed twice: %v", err)
	}
	if all, err := s.Pods(ctx); err != nil || len(all) != 2 || all[0].Name != "other" {
		t.Errorf("all pods: %v, %v", all, err)
	}
}

func TestVolatilePods(t *testing.T) {
	ctx := t.Context()
	d := place(t)
	s := open(t, d)
	if err := s.AddPod(ctx, &Pod{ID: podID('a'), Name: "shop", Volatile: true}, nil); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Pod(ctx, podID('a')); err != nil || !p.Volatile {
		t.Errorf("%+v, %v", p, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d.BootID = "another"
	s = open(t, d)
	if _, err := s.LookupPod(ctx, "shop"); !errors.As(err, new(ErrNoPod)) {
		t.Errorf("a pod of another boot: %v", err)
	}
	if err := s.AddPod(ctx, &Pod{ID: podID('b'), Name: "shop"}, nil); err != nil {
		t.Errorf("its name is not free: %v", err)
	}
}

// A thousand documents are not read to find the few that a removal asks for.
func TestFewAreFoundByIndex(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	for index, where := range map[string]string{
		"containers_needing": mayNeed, "containers_in_pods": mayBeInPod + " AND instr(doc, ?2) > 0",
		"containers_with_volumes": mayHaveVolumes + " AND instr(doc, ?2) > 0",
	} {
		rows, err := s.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+fmt.Sprintf(selectContainers, where), "boot-1", []byte("x"))
		must(t, err)
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var line string
			must(t, rows.Scan(&id, &parent, &unused, &line))
			plan.WriteString(line + "\n")
		}
		must(t, rows.Err())
		must(t, rows.Close())
		if !strings.Contains(plan.String(), "INDEX "+index) {
			t.Errorf("%s is not used:\n%s", index, &plan)
		}
	}
}
