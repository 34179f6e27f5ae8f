package reason

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rootless-pod/pod/pkg/build/plan"
	"github.com/rootless-pod/pod/pkg/build/progress"
)

// The reasons that are no surprise.
const (
	// First: pod has not built this before.
	First = "first build"
	// NoCache: the user wanted it so.
	NoCache = "--no-cache"
)

// follows ends the reason of a step that comes after one that was not cached.
const follows = " was not cached"

// Follows says whether the reason is that an earlier step was not cached.
func Follows(why string) bool {
	return strings.HasPrefix(why, "step ") && strings.HasSuffix(why, follows)
}

// Options are what a Teller is made of.
type Options struct {
	GraphRoot string
	Key       Key
	Plan      *plan.Plan
	// Dir is the context; Excludes are the patterns of its ignore file.
	Dir      string
	Excludes []string
	NoCache  bool
	Args     map[string]string
	// Options are flags that change the image, each as text.
	Options map[string]string
	// Image is the id of an image in the store, or empty. It takes names, ids and
	// the beginnings of ids.
	Image func(name string) string
}

// Teller watches a build and says why a step is not cached.
type Teller struct {
	o    Options
	old  *Record
	now  Record
	path string

	scanned chan struct{}

	mu sync.Mutex
	// ran is the first step that was done, by stage.
	ran map[int]int
}

// Watch begins to read the context, beside the build.
func Watch(ctx context.Context, o *Options) *Teller {
	t := &Teller{
		o: *o, path: filepath.Join(Directory(o.GraphRoot), o.Key.name()), scanned: make(chan struct{}), ran: map[int]int{},
		now: Record{Args: map[string]string{}, Options: map[string]string{}, Stages: make([]StageRecord, len(o.Plan.Stages))},
	}
	for name, value := range o.Args {
		t.now.Args[name] = Digest(value)
	}
	for name, value := range o.Options {
		t.now.Options[name] = Digest(value)
	}
	t.old = load(t.path)
	go func() {
		defer close(t.scanned)
		var sources []string
		for i := range o.Plan.Stages {
			for j := range o.Plan.Stages[i].Steps {
				if o.Plan.Stages[i].Needed {
					sources = append(sources, o.Plan.Stages[i].Steps[j].Context...)
				}
			}
		}
		if len(sources) == 0 {
			t.now.Whole = true
			return
		}
		var had files
		if t.old != nil {
			had = t.old.files
		}
		found, err := scan(ctx, o.Dir, sources, o.Excludes, had)
		t.now.files, t.now.Whole = found, err == nil
	}()
	return t
}

// Event remembers an event of the build.
func (t *Teller) Event(e *progress.Event) {
	if e.Stage < 1 || e.Stage > len(t.now.Stages) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.now.Stages[e.Stage-1]
	switch e.Kind {
	case progress.Start:
		for len(s.Steps) < e.Step {
			s.Steps = append(s.Steps, StepRecord{})
		}
		s.Steps[e.Step-1] = StepRecord{Text: short(e.Instruction)}
	case progress.Done:
		if e.Step > len(s.Steps) {
			return
		}
		step := &s.Steps[e.Step-1]
		step.ID = e.ID
		if p := &t.o.Plan.Stages[e.Stage-1]; e.Step == 1 && p.Image != "" {
			s.Base = t.o.Image(p.Image)
		}
		for _, n := range t.needs(e) {
			if n.Image != "" && e.Step > 1 {
				if step.Images == nil {
					step.Images = map[string]string{}
				}
				step.Images[n.Image] = t.o.Image(n.Image)
			}
		}
	}
}

// short keeps a record small; texts that long are told apart by their digest.
func short(text string) string {
	const most = 500
	if len(text) <= most {
		return text
	}
	return text[:most] + "… " + Digest(text)
}

// planned is the plan's step of an event, which has another number if steps were
// put in: by flags, or by the base image.
func (t *Teller) planned(e *progress.Event) *plan.Step {
	for i := range t.o.Plan.Stages[e.Stage-1].Steps {
		step := &t.o.Plan.Stages[e.Stage-1].Steps[i]
		if step.Instruction == e.Instruction || strings.HasPrefix(e.Instruction, step.Instruction+" (") && step.Step <= e.Step {
			return step
		}
	}
	return nil
}

func (t *Teller) needs(e *progress.Event) []plan.Need {
	step := t.planned(e)
	if step == nil {
		return nil
	}
	var out []plan.Need
	for _, n := range t.o.Plan.Stages[e.Stage-1].Needs {
		if n.Step == step.Step {
			out = append(out, n)
		}
	}
	return out
}

// Save writes what the build was made of.
func (t *Teller) Save() error {
	<-t.scanned
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.now.Stages { // what was not reached is as it was
		if len(t.now.Stages[i].Steps) == 0 && t.old != nil && i < len(t.old.Stages) {
			t.now.Stages[i] = t.old.Stages[i]
		}
	}
	return t.now.save(filepath.Dir(t.path), filepath.Base(t.path))
}

// Why says why a step is not cached.
func (t *Teller) Why(e *progress.Event) string {
	if e.Stage < 1 || e.Stage > len(t.now.Stages) {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	first, again := t.ran[e.Stage]
	if !again {
		t.ran[e.Stage] = e.Step
	}
	switch {
	case t.o.NoCache:
		return NoCache
	case t.old == nil:
		return First
	case again:
		return fmt.Sprintf("step %d%s", first, follows)
	case e.Stage > len(t.old.Stages) || len(t.old.Stages[e.Stage-1].Steps) == 0:
		return "the last build did not come so far"
	}
	for _, look := range []func(*progress.Event, *StageRecord) string{t.base, t.texts, t.arguments, t.context, t.sources, t.flags, t.cache} {
		if why := look(e, &t.old.Stages[e.Stage-1]); why != "" {
			return why
		}
	}
	return "no image in the cache fits"
}

// base: FROM has another text, the stage was built anew, the image is another.
func (t *Teller) base(e *progress.Event, old *StageRecord) string {
	now := &t.now.Stages[e.Stage-1]
	p := &t.o.Plan.Stages[e.Stage-1]
	if p.BaseStage > 0 {
		if why := t.stage(p.BaseStage); why != "" {
			return why
		}
	}
	// Another name of the same image changes nothing.
	if was, is := old.Steps[0].Text, now.Steps[0].Text; was != is && (old.Base != now.Base || p.BaseStage > 0) {
		return "base changed: " + was + " → " + is
	}
	if old.Base != now.Base && now.Base != "" {
		return fmt.Sprintf("base image %s changed: %s → %s", p.Image, brief(old.Base), brief(now.Base))
	}
	return ""
}

// stage says that a stage was built anew.
func (t *Teller) stage(n int) string {
	first, ran := t.ran[n]
	if !ran {
		return ""
	}
	name := t.o.Plan.Stages[n-1].Name
	if name == "" {
		name = fmt.Sprint(n)
	}
	return fmt.Sprintf("stage %s changed, from its step %d on", name, first)
}

func brief(id string) string {
	if id == "" {
		return "none"
	}
	return id[:min(12, len(id))]
}

// texts: an instruction, this or an earlier one, was changed, added or removed.
func (t *Teller) texts(e *progress.Event, old *StageRecord) string {
	now := t.now.Stages[e.Stage-1].Steps
	for i := 1; i < len(now); i++ {
		if i < len(old.Steps) && old.Steps[i].Text == now[i].Text {
			continue
		}
		where := ""
		if i+1 < e.Step {
			where = fmt.Sprintf("step %d: ", i+1)
		}
		if i >= len(old.Steps) {
			return where + "instruction added"
		}
		was, is := old.Steps[i].Text, now[i].Text
		var planned []string
		for j := range t.o.Plan.Stages[e.Stage-1].Steps {
			planned = append(planned, short(t.o.Plan.Stages[e.Stage-1].Steps[j].Instruction))
		}
		before := func(s StepRecord) bool { return s.Text == is }
		switch {
		case slices.Contains(planned, was) && !slices.ContainsFunc(old.Steps, before):
			return where + "instruction added"
		case !slices.Contains(planned, was) && slices.ContainsFunc(old.Steps, before):
			return where + "instruction removed before it: " + was
		}
		return where + "instruction changed: " + was + " → " + is
	}
	return ""
}

// arguments: a build argument that the stage declares has another value.
func (t *Teller) arguments(e *progress.Event, _ *StageRecord) string {
	names := t.o.Plan.Stages[e.Stage-1].Arguments
	for _, name := range union(t.old.Args, t.now.Args) {
		if !slices.Contains(names, name) {
			continue
		}
		was, had := t.old.Args[name]
		is, has := t.now.Args[name]
		switch {
		case !had:
			return "build argument " + name + " was not given before"
		case !has:
			return "build argument " + name + " is no longer given"
		case was != is:
			return "build argument " + name + " changed"
		}
	}
	return ""
}

// union are the names in either, in order.
func union(a, b map[string]string) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	return slices.Compact(names)
}

// flags: what the command line does to the image. It is applied in the last step.
func (t *Teller) flags(_ *progress.Event, _ *StageRecord) string {
	for _, name := range union(t.old.Options, t.now.Options) {
		if t.old.Options[name] != t.now.Options[name] {
			return name + " changed"
		}
	}
	return ""
}

// context: a file that the step reads.
func (t *Teller) context(e *progress.Event, _ *StageRecord) string {
	step := t.planned(e)
	if step == nil || len(step.Context) == 0 {
		return ""
	}
	<-t.scanned
	if !t.now.Whole || !t.old.Whole {
		return "a file of the context changed (not all are remembered)"
	}
	return changes(t.old.files, t.now.files, step.Context, step.Excludes)
}

// sources: what the step takes from stages, images and addresses.
func (t *Teller) sources(e *progress.Event, old *StageRecord) string {
	for _, n := range t.needs(e) {
		if n.Stage > 0 {
			if why := t.stage(n.Stage); why != "" {
				return why
			}
		}
		if n.Image == "" || e.Step > len(old.Steps) {
			continue
		}
		was, is := old.Steps[e.Step-1].Images[n.Image], t.o.Image(n.Image)
		if was != is && is != "" {
			return fmt.Sprintf("image %s changed: %s → %s", n.Image, brief(was), brief(is))
		}
	}
	return ""
}

// cache: the image of the step is gone, or was never made.
func (t *Teller) cache(e *progress.Event, old *StageRecord) string {
	if e.Step > len(old.Steps) {
		return "the last build did not come so far"
	}
	switch id := old.Steps[e.Step-1].ID; {
	case id == "":
		return "the last build ended in this step"
	case t.o.Image(id) == "":
		return "its image " + brief(id) + " is no longer in the cache"
	}
	if step := t.planned(e); step != nil && len(step.URLs) > 0 {
		return "what " + strings.Join(step.URLs, ", ") + " gave changed"
	}
	return ""
}
