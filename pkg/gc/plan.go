// Package gc keeps the store within bounds that the user has set: after images
// were brought or built it removes what was used longest ago, and says so. What
// may be removed, and when, is decided by a pure function (Plan); nothing that
// was used within the last hour is ever touched, since a build or another
// command may be at it.
package gc

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/rootless-pod/pod/pkg/settings"
)

// grace spares what was used just now.
const grace = time.Hour

// Kind is what sort of thing an Item is.
type Kind int

// The kinds, in the order in which things of the same age go.
const (
	Container Kind = iota
	Image
	Volume
)

// Item is something that may be removed.
type Item struct {
	Kind     Kind
	ID       string
	LastUsed time.Time
	// Named images have a name: they are touched only if the user said so.
	Named bool
	// Own is what goes with it; Layers are held together with others.
	Own    int64
	Layers []string
	// Frees is what comes free with those chosen before it; Plan sets it.
	Frees int64
}

// Disk is how things stand.
type Disk struct {
	// Images is what all images take, Free what is left of the disk.
	Images, Free int64
	// Layers are the sizes of layers, Holders how many images hold each.
	Layers  map[string]int64
	Holders map[string]int
}

// Plan chooses what goes, of what is not needed by anything now. What was unused
// for too long goes in any case, then what was used longest ago, until the
// bounds are kept. Names, containers and volumes count only as the policy says.
func Plan(items []Item, disk Disk, policy *settings.GC, now time.Time) []Item {
	order := slices.Clone(items)
	slices.SortStableFunc(order, func(a, b Item) int {
		return cmp.Or(a.LastUsed.Compare(b.LastUsed), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	holders := map[string]int{}
	maps.Copy(holders, disk.Holders)
	var chosen []Item
	for _, item := range order {
		age := now.Sub(item.LastUsed)
		if age < grace || !allowed(&item, policy) {
			continue
		}
		overdue := policy.UnusedFor != nil && age >= *policy.UnusedFor
		tooBig := policy.MaxSize > 0 && disk.Images > policy.MaxSize
		tooFull := policy.KeepFree > 0 && disk.Free < policy.KeepFree
		if !overdue && !tooFull && (!tooBig || item.Kind != Image) {
			continue
		}
		size := item.Own
		for _, layer := range item.Layers {
			if holders[layer]--; holders[layer] == 0 {
				size += disk.Layers[layer]
			}
		}
		item.Frees = size
		disk.Free += size
		if item.Kind == Image {
			disk.Images -= size
		}
		chosen = append(chosen, item)
	}
	return chosen
}

// allowed says whether the policy lets an item go at all.
func allowed(item *Item, policy *settings.GC) bool {
	switch item.Kind {
	case Container:
		return policy.Containers
	case Volume:
		return policy.Volumes
	default:
		return policy.Tagged || !item.Named
	}
}
