package view

import (
	"slices"
	"time"

	"github.com/rootless-pod/pod/pkg/stats"
)

const (
	keepValues = 2 * maxSpark // what the widest sparkline shows
	keepEnded  = 3            // how many frames an ended container stays
)

// History remembers samples of containers, for sparklines.
type History struct {
	of    map[string]*past
	round int
}

// past is that of one container. Values are nil until there are two samples:
// they are rates, but the memory.
type past struct {
	last                   stats.Sample
	seen                   int
	cpu, memory, net, disk []float64
}

// Add takes the samples of a moment.
func (h *History) Add(samples []stats.Sample) {
	if h.of == nil {
		h.of = map[string]*past{}
	}
	h.round++
	for _, s := range samples {
		p := h.of[s.ID]
		if p == nil {
			p = &past{}
			h.of[s.ID] = p
		}
		p.add(&s, h.round)
	}
	for id, p := range h.of {
		if h.round-p.seen > keepEnded {
			delete(h.of, id)
		}
	}
}

func (p *past) add(s *stats.Sample, round int) {
	if s.Memory.Known {
		push(&p.memory, float64(s.Memory.N))
	}
	if before := &p.last; p.seen > 0 && before.Started.Equal(s.Started) {
		elapsed := s.Time.Sub(before.Time)
		if s.CPU.Known {
			push(&p.cpu, s.CPUPercent(before))
		}
		pushRate(&p.net, [2]stats.Value{before.NetIn, before.NetOut}, [2]stats.Value{s.NetIn, s.NetOut}, elapsed)
		pushRate(&p.disk, [2]stats.Value{before.BlockIn, before.BlockOut}, [2]stats.Value{s.BlockIn, s.BlockOut}, elapsed)
	}
	p.last, p.seen = *s, round
}

// pushRate adds what both counters have grown by in a second.
func pushRate(values *[]float64, before, now [2]stats.Value, elapsed time.Duration) {
	if !now[0].Known && !now[1].Known || elapsed <= 0 {
		return
	}
	grown := 0.0
	for i := range now {
		if now[i].Known && before[i].Known && now[i].N >= before[i].N {
			grown += float64(now[i].N - before[i].N)
		}
	}
	push(values, grown/elapsed.Seconds())
}

func push(values *[]float64, v float64) {
	if len(*values) >= keepValues {
		*values = slices.Delete(*values, 0, len(*values)-keepValues+1)
	}
	*values = append(*values, v)
}

// Ended are the last samples of containers that have ended a short while ago.
func (h *History) Ended() []stats.Sample {
	var ended []stats.Sample
	for _, p := range h.of {
		if p.seen < h.round {
			ended = append(ended, p.last)
		}
	}
	slices.SortFunc(ended, func(a, b stats.Sample) int { return a.Started.Compare(b.Started) })
	return ended
}

// Of is the past of a container.
func (h *History) Of(id string) (cpu, memory, network, block Series) {
	p := h.of[id]
	if p == nil {
		p = &past{}
	}
	// Floors keep noise low: 10 % of a processor, 1 kB a second.
	return Series{slices.Clone(p.cpu), 10, Processor}, Series{slices.Clone(p.memory), 0, Memory},
		Series{slices.Clone(p.net), 1000, Network}, Series{slices.Clone(p.disk), 1000, Block}
}
