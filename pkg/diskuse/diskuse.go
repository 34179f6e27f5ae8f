// Package diskuse explains what takes the room of a store: who holds it, since
// when nobody has used it, and which command frees how much. It computes only;
// what there is, it is told.
package diskuse

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Image is an image that somebody named, or that nothing is built on. The steps
// between belong to those that were built on them.
type Image struct {
	ID       string
	Names    []string
	LastUsed time.Time
	// Own is the image's alone, Layers may be held by others too.
	Own        int64
	Layers     []string
	Containers []Container
}

// Container is a container of an image.
type Container struct {
	Name string
	// State says what it does: running, exited 3 days ago.
	State string
	Live  bool
	// Foreign containers are another tool's, such as those of builds.
	Foreign bool
	// Size is what goes with it.
	Size int64
}

// Row is something that takes room.
type Row struct {
	Kind, What string
	// HeldBy says why it is there.
	HeldBy string
	// LastUsed is zero where nobody knows it, or where it is in use.
	LastUsed time.Time
	Size     int64
	// Command frees it, and Frees bytes in all; empty where it is not to be freed.
	Command string
	Frees   int64
}

// Images makes a row of each image, and of each group of layers that the same
// images share: no layer is counted twice.
func Images(images []Image, layers map[string]int64) []Row {
	holders := map[string][]int{}
	for i := range images {
		for _, layer := range images[i].Layers {
			holders[layer] = append(holders[layer], i)
		}
	}
	type group struct {
		of   []int
		size int64
		n    int
	}
	groups := map[string]*group{}
	for layer, of := range holders {
		key := fmt.Sprint(of)
		if groups[key] == nil {
			groups[key] = &group{of: of}
		}
		groups[key].size += layers[layer]
		groups[key].n++
	}
	var rows []Row
	for i := range images {
		row := Row{Kind: "image", What: images[i].title(), HeldBy: images[i].heldBy(), Size: images[i].Own, LastUsed: images[i].LastUsed}
		key := fmt.Sprint([]int{i})
		if g := groups[key]; g != nil {
			row.Size += g.size
			delete(groups, key)
		}
		if images[i].live() {
			row.LastUsed = time.Time{}
		}
		row.Command = removal(images, []int{i})
		row.Frees = frees(images, layers, holders, []int{i})
		rows = append(rows, row)
	}
	for _, g := range groups {
		row := Row{Kind: "shared layers", What: fmt.Sprintf("%d layers", g.n), Size: g.size}
		if g.n == 1 {
			row.What = "1 layer"
		}
		var titles []string
		live := false
		for _, i := range g.of {
			titles = append(titles, images[i].title())
			live = live || images[i].live()
			if images[i].LastUsed.After(row.LastUsed) {
				row.LastUsed = images[i].LastUsed
			}
		}
		if live {
			row.LastUsed = time.Time{}
		}
		row.HeldBy = fmt.Sprintf("%d images: %s", len(titles), some(titles))
		row.Command, row.Frees = removal(images, g.of), frees(images, layers, holders, g.of)
		rows = append(rows, row)
	}
	Sort(rows)
	return rows
}

// Sort puts the biggest first.
func Sort(rows []Row) {
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.What, b.What))
	})
}

// Unheld is the size of the layers that no image holds.
func Unheld(images []Image, layers map[string]int64) (n int, size int64) {
	held := map[string]bool{}
	for i := range images {
		for _, layer := range images[i].Layers {
			held[layer] = true
		}
	}
	for layer, bytes := range layers {
		if !held[layer] {
			n, size = n+1, size+bytes
		}
	}
	return n, size
}

// frees is what comes free when these images go, with their containers.
func frees(images []Image, layers map[string]int64, holders map[string][]int, of []int) int64 {
	var size int64
	seen := map[string]bool{}
	for _, i := range of {
		size += images[i].Own
		for _, c := range images[i].Containers {
			size += c.Size
		}
		for _, layer := range images[i].Layers {
			if !seen[layer] && !slices.ContainsFunc(holders[layer], func(h int) bool { return !slices.Contains(of, h) }) {
				size += layers[layer]
			}
			seen[layer] = true
		}
	}
	return size
}

// removal is the command that removes these images.
func removal(images []Image, of []int) string {
	var containers, names []string
	live, force := "", ""
	for _, i := range of {
		for _, c := range images[i].Containers {
			if c.Foreign {
				force = " --force"
				continue
			}
			containers = append(containers, c.Name)
			if c.Live {
				live = " --force"
			}
		}
		if len(images[i].Names) == 0 {
			names = append(names, short(images[i].ID))
		}
		names = append(names, images[i].Names...)
	}
	command := "pod rmi" + force + " " + strings.Join(names, " ")
	if len(containers) > 0 {
		command = "pod rm" + live + " " + strings.Join(containers, " ") + " && " + command
	}
	return command
}

// title is the image as a person would call it.
func (i *Image) title() string {
	if len(i.Names) == 0 {
		return "<none> " + short(i.ID)
	}
	return i.Names[0]
}

func (i *Image) live() bool {
	return slices.ContainsFunc(i.Containers, func(c Container) bool { return c.Live })
}

// heldBy names the containers, and names beyond the first.
func (i *Image) heldBy() string {
	var parts []string
	for _, c := range i.Containers {
		what := "container "
		if c.Foreign {
			what = "another tool's container "
		}
		parts = append(parts, what+c.Name+" ("+c.State+")")
	}
	if len(i.Names) > 1 {
		parts = append(parts, "also named "+some(i.Names[1:]))
	}
	switch {
	case len(parts) > 0:
		return some(parts)
	case len(i.Names) > 0:
		return "its name"
	}
	return "nothing"
}

// some are the first few of a list.
func some(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

func short(id string) string { return id[:min(12, len(id))] }
