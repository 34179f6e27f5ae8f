package specgen

import (
	"strings"
	"testing"
	"time"
)

func TestShapeChange(t *testing.T) {
	for _, c := range []struct {
		rate, delay, loss string
		want              Shape
		err               string
	}{
		{rate: "10mbit", want: Shape{RateIn: 10e6, RateOut: 10e6}},
		{rate: "10Mbit:in", want: Shape{RateIn: 10e6}},
		{rate: "1.5gbit:out", want: Shape{RateOut: 1.5e9}},
		{rate: "64kbps", want: Shape{RateIn: 512e3, RateOut: 512e3}},
		{rate: "1mibit:in", want: Shape{RateIn: 1 << 20}},
		{rate: "1kibps:in", want: Shape{RateIn: 8 << 10}},
		{rate: "9000:out", want: Shape{RateOut: 9000}},
		{rate: "1000bps", want: Shape{RateIn: 8000, RateOut: 8000}},
		{rate: "0"},
		{delay: "100ms", want: Shape{Delay: 100 * time.Millisecond}},
		{delay: "1.5s", want: Shape{Delay: 1500 * time.Millisecond}},
		{delay: "20", want: Shape{Delay: 20 * time.Microsecond}},
		{loss: "0.5%", want: Shape{Loss: 0.5}},
		{loss: "7", want: Shape{Loss: 7}},
		{rate: "10mbit:up", err: "RATE:in"},
		{rate: "10mb", err: "unit"},
		{rate: "10ibit", err: "unit"},
		{rate: "10kmbit", err: "unit"},
		{rate: "bit", err: "number"},
		{rate: "-1mbit", err: "number"},
		{rate: "nan", err: "unit"},
		{rate: "1", err: "between"},
		{rate: "2tbit", err: "between"},
		{rate: "1e30gbit", err: "between"},
		{delay: "11m", err: "delay"},
		{delay: "1h", err: "delay"},
		{delay: "601s", err: "delay"},
		{delay: "", err: ""},
		{loss: "101", err: "percentage"},
		{loss: "x%", err: "percentage"},
	} {
		var change ShapeChange
		var err error
		switch {
		case c.rate != "":
			err = change.ParseRate(c.rate)
		case c.delay != "":
			err = change.ParseDelay(c.delay)
		case c.loss != "":
			err = change.ParseLoss(c.loss)
		}
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: got %v", c, err)
			}
			continue
		}
		if got := change.Over(Shape{}); err != nil || got != c.want {
			t.Errorf("%+v: got %+v, %v", c, got, err)
		}
	}
	full := Shape{RateIn: 1, RateOut: 2, Delay: 3, Loss: 4}
	var change ShapeChange
	if change.Over(full) != full {
		t.Error("an empty change changes")
	}
	change.Clear()
	if change.Over(full).Given() {
		t.Error("something is left")
	}
}

func TestCheckShape(t *testing.T) {
	for mode, ok := range map[string]bool{"": true, "pasta": true, "bridge": true, "slirp4netns": true, "host": false, "none": false, "container:x": false, "ns:/x": false} {
		n := Network{Mode: mode, Shape: Shape{RateIn: 1e6}}
		if err := n.checkShape(); (err == nil) != ok {
			t.Errorf("%q: %v", mode, err)
		}
	}
}
