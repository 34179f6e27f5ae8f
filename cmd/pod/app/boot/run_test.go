package boot

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rootless-pod/pod/pkg/libpod"
)

func TestStarter(t *testing.T) {
	t.Parallel()
	containers := []libpod.BootContainer{
		{ID: "net", Name: "net"},
		{ID: "bad", Name: "bad"},
		{ID: "web", Name: "web", Needs: []string{"net", "unknown"}},
		{ID: "child", Name: "child", Needs: []string{"bad", "net"}},
		{ID: "grandchild", Name: "grandchild", Needs: []string{"child"}},
		{ID: "alone", Name: "alone"},
	}
	var mu sync.Mutex
	var order []string
	s := starter{turns: make(chan struct{}, 2), start: func(c libpod.BootContainer) error {
		mu.Lock()
		defer mu.Unlock()
		if len(order) > len(containers) {
			t.Error("too many starts")
		}
		order = append(order, c.ID)
		if c.ID == "bad" {
			return errors.New("bad luck")
		}
		return nil
	}}
	errs := s.all(containers)
	if len(errs) != 3 || !strings.Contains(errs[0].Error(), "bad luck") ||
		!strings.Contains(errs[1].Error(), "container child: container bad, which it needs") {
		t.Errorf("errors %v", errs)
	}
	if slices.Contains(order, "child") || slices.Contains(order, "grandchild") {
		t.Error("what needs a container that failed was started")
	}
	if slices.Index(order, "web") < slices.Index(order, "net") || !slices.Contains(order, "alone") {
		t.Errorf("order %v", order)
	}
}
