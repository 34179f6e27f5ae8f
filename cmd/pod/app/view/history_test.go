package view

import (
	"slices"
	"testing"
	"time"

	"github.com/rootless-pod/pod/pkg/stats"
)

func sample(id string, second int, n uint64) stats.Sample {
	value := stats.Value{N: n, Known: true}
	start := time.Unix(1000, 0)
	return stats.Sample{
		Target: stats.Target{ID: id, Started: start}, Time: start.Add(time.Duration(second) * time.Second),
		CPU: stats.Value{N: n * 1e7, Known: true}, Memory: value, NetIn: value, NetOut: value, BlockIn: value,
	}
}

func TestHistory(t *testing.T) {
	var h History
	h.Add([]stats.Sample{sample("a", 1, 100), sample("b", 1, 5)})
	h.Add([]stats.Sample{sample("a", 3, 300), sample("b", 3, 5)})
	h.Add([]stats.Sample{sample("a", 5, 310)})
	cpu, memory, network, block := h.Of("a")
	for _, tc := range []struct {
		name string
		got  []float64
		want []float64
	}{
		{"cpu in percent", cpu.Values, []float64{100, 5}},
		{"memory", memory.Values, []float64{100, 300, 310}},
		{"network both ways in a second", network.Values, []float64{200, 10}},
		{"block, of which one way is unknown", block.Values, []float64{100, 5}},
	} {
		if !slices.Equal(tc.got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, tc.got, tc.want)
		}
	}
	if ended := h.Ended(); len(ended) != 1 || ended[0].ID != "b" {
		t.Errorf("ended: %v", ended)
	}
	for s := 6; s < 10; s++ {
		h.Add([]stats.Sample{sample("a", s, 320)})
	}
	if ended := h.Ended(); len(ended) != 0 {
		t.Errorf("still there: %v", ended)
	}
	if cpu, _, _, _ := h.Of("b"); len(cpu.Values) != 0 {
		t.Error("what has gone is remembered")
	}
}

func TestHistoryOfARestart(t *testing.T) {
	var h History
	h.Add([]stats.Sample{sample("a", 1, 100)})
	again := sample("a", 5, 10)
	again.Started = again.Started.Add(4 * time.Second)
	h.Add([]stats.Sample{again})
	if cpu, _, net, _ := h.Of("a"); len(cpu.Values) != 0 || len(net.Values) != 0 {
		t.Errorf("rates over a restart: %v %v", cpu.Values, net.Values)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var h History
	for s := range 10 * keepValues {
		h.Add([]stats.Sample{sample("a", s+1, uint64(s))}) //nolint:gosec // small
	}
	cpu, memory, _, _ := h.Of("a")
	if len(cpu.Values) != keepValues || len(memory.Values) != keepValues || memory.Values[keepValues-1] != 10*keepValues-1 {
		t.Errorf("%d and %d values are kept", len(cpu.Values), len(memory.Values))
	}
}
