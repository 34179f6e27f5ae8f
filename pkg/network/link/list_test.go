package link

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestWhole(t *testing.T) {
	for name, tt := range map[string]struct {
		interrupted int
		end         error
		tries       int
	}{
		"at once":     {0, nil, 1},
		"interrupted": {3, nil, 4},
		"refused":     {1, errors.New("no"), 2},
		"for ever":    {1000, nil, dumps},
	} {
		tries := 0
		_, err := whole(func() ([]netlink.Link, error) {
			if tries++; tries <= tt.interrupted {
				return nil, netlink.ErrDumpInterrupted
			}
			return nil, tt.end
		})
		if wrong := (err != nil) != (tt.end != nil || tt.tries == dumps); tries != tt.tries || wrong {
			t.Errorf("%s: %d tries, %v", name, tries, err)
		}
	}
}
