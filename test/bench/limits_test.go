package main

import "testing"

// TestPromises holds the limits of the bench against what is promised: "three times as fast as the peer".
func TestPromises(t *testing.T) {
	promised := map[string]float64{
		"run --rm, network none": 0.30, "run --rm, default network": 0.30, "run -d": 0.35, "rm -f": 0.35, "exec": 0.30,
		"ps, 0 containers": 0.30, "ps, 100 containers": 0.25, "ps, 1000 containers": 0.20,
		"start": 0.35, "stop": 0.35, "inspect": 0.35, "images": 0.35, "version": 0.35,
		"16 parallel run --rm": 0.30, "run --rm, CPU": 0.30, "memory beside each of 10 idle containers": 0.5,
	}
	for _, c := range (&bench{}).cases() {
		if want, ok := promised[c.name]; ok && c.limit != want {
			t.Errorf("%s: the limit is %g, promised is %g", c.name, c.limit, want)
		}
		delete(promised, c.name)
	}
	for name := range promised {
		t.Errorf("no case %q", name)
	}
	if growthLimit != 1.3 {
		t.Errorf("the limit of growth is %g", growthLimit)
	}
}
