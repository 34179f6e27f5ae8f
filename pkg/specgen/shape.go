package specgen

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Shape is what a container's network is made worse by. Zero is as it comes.
type Shape struct {
	// RateIn and RateOut are bits a second, into and out of the container.
	RateIn  uint64 `json:"rate_in,omitempty"`
	RateOut uint64 `json:"rate_out,omitempty"`
	// Delay is added to what the container sends, Loss is the part of it that does
	// not arrive, in percent.
	Delay time.Duration `json:"delay,omitempty"`
	Loss  float64       `json:"loss,omitempty"`
}

// Given says whether there is anything to do.
func (s Shape) Given() bool { return s != Shape{} }

// ShapeChange is a change of a Shape: nil leaves, a zero takes away.
type ShapeChange struct {
	RateIn, RateOut *uint64
	Delay           *time.Duration
	Loss            *float64
}

// Over is the shape after the change.
func (c *ShapeChange) Over(s Shape) Shape {
	if c.RateIn != nil {
		s.RateIn = *c.RateIn
	}
	if c.RateOut != nil {
		s.RateOut = *c.RateOut
	}
	if c.Delay != nil {
		s.Delay = *c.Delay
	}
	if c.Loss != nil {
		s.Loss = *c.Loss
	}
	return s
}

// Clear is the change that takes everything away.
func (c *ShapeChange) Clear() {
	*c = ShapeChange{RateIn: new(uint64), RateOut: new(uint64), Delay: new(time.Duration), Loss: new(float64)}
}

// The bounds of a Shape: less than a packet a second and more than kernels count
// are mistakes.
const (
	minRate  = 8_000
	maxRate  = 1e12
	maxDelay = 10 * time.Minute
)

// ParseRate reads RATE[:in|:out], both ways without, in tc's units: bit, kbit, mbit,
// gbit, tbit, with i (kibit) in powers of 1024, and bps, kbps… for bytes; a number
// alone is in bits a second. 0 takes the limit away.
func (c *ShapeChange) ParseRate(text string) error {
	word, way, given := strings.Cut(text, ":")
	if given && way != "in" && way != "out" {
		return fmt.Errorf("rate %q: write RATE, RATE:in or RATE:out", text)
	}
	rate, err := parseRate(word)
	if err != nil {
		return fmt.Errorf("rate %q: %w", text, err)
	}
	if way != "out" {
		c.RateIn = &rate
	}
	if way != "in" {
		c.RateOut = &rate
	}
	return nil
}

func parseRate(word string) (uint64, error) {
	number, unit := splitUnit(word)
	factor := 1.0
	rest, bits := strings.CutSuffix(unit, "bit")
	if !bits && unit != "" {
		var bytes bool
		if rest, bytes = strings.CutSuffix(unit, "bps"); !bytes {
			return 0, errors.New("the unit is bit, kbit, mbit, gbit, or bps, kbps, mbps for bytes")
		}
		factor = 8
	}
	base := 1000.0
	if prefix, binary := strings.CutSuffix(rest, "i"); binary && prefix != "" {
		base, rest = 1024, prefix
	}
	power := strings.Index("kmgt", rest)
	if rest != "" && (len(rest) > 1 || power < 0) {
		return 0, errors.New("the unit is bit, kbit, mbit, gbit, or bps, kbps, mbps for bytes")
	}
	if rest != "" {
		factor *= math.Pow(base, float64(power+1))
	}
	n, err := strconv.ParseFloat(number, 64)
	switch rate := n * factor; {
	case err != nil || math.IsNaN(n) || n < 0:
		return 0, errors.New("it is a number with a unit, as 10mbit")
	case rate == 0:
		return 0, nil
	case rate < minRate || rate > maxRate:
		return 0, errors.New("it is between 8kbit and 1tbit")
	default:
		return uint64(rate), nil
	}
}

// ParseDelay reads a time in tc's units: s, ms, us; a number alone is in us.
func (c *ShapeChange) ParseDelay(text string) error {
	number, unit := splitUnit(text)
	units := map[string]time.Duration{
		"": time.Microsecond, "us": time.Microsecond, "usec": time.Microsecond, "usecs": time.Microsecond,
		"ms": time.Millisecond, "msec": time.Millisecond, "msecs": time.Millisecond, "s": time.Second, "sec": time.Second, "secs": time.Second,
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(n) || n < 0 || units[unit] == 0 || n*float64(units[unit]) > float64(maxDelay) {
		return fmt.Errorf("delay %q: it is a number with a unit, as 100ms, up to 10 minutes", text)
	}
	delay := time.Duration(n * float64(units[unit]))
	c.Delay = &delay
	return nil
}

// ParseLoss reads a percentage, with the sign or without.
func (c *ShapeChange) ParseLoss(text string) error {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > 100 {
		return fmt.Errorf("loss %q: it is a percentage from 0 to 100", text)
	}
	c.Loss = &n
	return nil
}

// splitUnit parts a number from the letters behind it.
func splitUnit(word string) (number, unit string) {
	number = strings.TrimRight(strings.ToLower(word), "abcdefghijklmnopqrstuvwxyz")
	return number, strings.ToLower(word)[len(number):]
}

// checkShape refuses what a namespace of another would have to bear.
func (n *Network) checkShape() error {
	if !n.Shape.Given() {
		return nil
	}
	switch mode, _, _ := strings.Cut(n.Mode, ":"); mode {
	case "host", "container", "ns", "none":
		return fmt.Errorf("--network-rate, --network-delay and --network-loss need a network of the container's own, which --network %s is not", mode)
	}
	return nil
}
