// Package plan reads Containerfiles and says what a build of them would do: which
// stages the target needs, what each needs of others, and which can be built at
// the same time. It builds nothing and asks no registry. Containerfiles are read
// by the parser that buildah uses, and needs are found where buildah finds them
// (imagebuildah, executor.Build), so the plan is what will happen.
package plan

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/parser"
	"go.podman.io/buildah/define"
	"go.podman.io/image/v5/types"
)

// Plan is the graph of the stages through the target.
type Plan struct {
	// Platform is what is built for; empty is that of the host.
	Platform string `json:"platform,omitempty"`
	// Target is the stage whose image is the result, counted from 1.
	Target int     `json:"target"`
	Stages []Stage `json:"stages"`
}

// Stage is a FROM and what follows it.
type Stage struct {
	// Stage counts from 1, as the lines of a build do.
	Stage int    `json:"stage"`
	Name  string `json:"name,omitempty"`
	// Image is the base, if that is not another stage; BaseStage is that stage.
	Image     string `json:"image,omitempty"`
	BaseStage int    `json:"baseStage,omitempty"`
	// Needed by the target.
	Needed bool `json:"needed"`
	// Wave is when all that the stage needs has been built, if nothing else held it
	// up: stages of the same wave can run side by side. 0: it is skipped.
	Wave  int    `json:"wave,omitempty"`
	Steps []Step `json:"steps"`
	Needs []Need `json:"needs,omitempty"`
	// Arguments are the names of build arguments that the stage may use.
	Arguments []string `json:"arguments,omitempty"`
}

// Step is an instruction.
type Step struct {
	// Step counts from 1, which is FROM.
	Step        int    `json:"step"`
	Instruction string `json:"instruction"`
	// Context are the paths and patterns of the build context that the step reads.
	Context []string `json:"context,omitempty"`
	// Excludes are patterns of what it leaves out of them.
	Excludes []string `json:"excludes,omitempty"`
	// URLs are what it downloads.
	URLs []string `json:"urls,omitempty"`
}

// Need is what a step takes from elsewhere.
type Need struct {
	Step int `json:"step"`
	// By is the word of the Containerfile: FROM, --after, COPY --from and so on.
	By string `json:"by"`
	// One of them is set: a stage, an image, a named context of the command line.
	Stage   int    `json:"stage,omitempty"`
	Image   string `json:"image,omitempty"`
	Context string `json:"context,omitempty"`
}

// Options are what the command line says of a build.
type Options struct {
	Args     map[string]string
	Contexts map[string]*define.AdditionalBuildContext
	// From replaces the first base image.
	From   string
	Target string
	// OS, Architecture and Variant are those of --platform.
	OS, Architecture, Variant string
	// SkipUnused stages that the target does not need: not if it is false.
	SkipUnused types.OptionalBool
}

// scratch is the base that is none.
const scratch = "scratch"

// Parse makes the plan of Containerfiles, which are joined in order.
func Parse(files [][]byte, o *Options) (*Plan, error) {
	var root *parser.Node
	for _, data := range files {
		node, err := imagebuilder.ParseDockerfile(bytes.NewReader(data))
		switch {
		case err != nil:
			return nil, fmt.Errorf("parse Containerfile: %w", err)
		case root == nil:
			root = node
		default:
			root.Children = append(root.Children, node.Children...)
		}
	}
	if root == nil {
		return nil, errors.New("no Containerfile")
	}
	builder := imagebuilder.NewBuilder(maps.Clone(o.Args))
	p := &Plan{}
	if o.OS != "" && o.Architecture != "" {
		p.Platform = o.OS + "/" + o.Architecture
		if o.Variant != "" {
			p.Platform += "/" + o.Variant
		}
		builder.BuiltinArgDefaults["TARGETOS"], builder.BuiltinArgDefaults["TARGETARCH"] = o.OS, o.Architecture
		builder.BuiltinArgDefaults["TARGETVARIANT"], builder.BuiltinArgDefaults["TARGETPLATFORM"] = o.Variant, p.Platform
	}
	stages, err := imagebuilder.NewStages(root, builder)
	if err != nil {
		return nil, fmt.Errorf("read stages: %w", err)
	}
	if len(stages) == 0 {
		return nil, errors.New("no FROM statement found")
	}
	if o.Target != "" {
		through, ok := stages.ThroughTarget(o.Target)
		if !ok {
			return nil, fmt.Errorf("the target %q was not found in the provided Dockerfile", o.Target)
		}
		stages = through
	}
	p.Target = len(stages)
	for i := range stages {
		r := reader{o: o, stages: stages, at: i, from: o.From}
		if i > 0 {
			r.from = ""
		}
		stage, err := r.read()
		if err != nil {
			return nil, err
		}
		p.Stages = append(p.Stages, *stage)
	}
	p.order(o.SkipUnused != types.OptionalBoolFalse)
	return p, nil
}

// order finds what the target needs, and when each stage can be ready.
func (p *Plan) order(skip bool) {
	var need func(n int)
	need = func(n int) {
		s := &p.Stages[n-1]
		if s.Needed {
			return
		}
		s.Needed = true
		for _, on := range s.Needs {
			if on.Stage > 0 {
				need(on.Stage)
			}
		}
	}
	need(p.Target)
	for i := range p.Stages { // a stage needs earlier ones only
		s := &p.Stages[i]
		if !s.Needed && skip {
			continue
		}
		s.Needed, s.Wave = true, 1
		for _, on := range s.Needs {
			if on.Stage > 0 {
				s.Wave = max(s.Wave, p.Stages[on.Stage-1].Wave+1)
			}
		}
	}
}

// reader reads one stage.
type reader struct {
	o      *Options
	stages imagebuilder.Stages
	at     int
	// from replaces the base image.
	from string
	// local are arguments that the stage has given values.
	local map[string]string
	out   Stage
}

func (r *reader) read() (*Stage, error) {
	in := r.stages[r.at]
	r.local = map[string]string{}
	r.out = Stage{Stage: r.at + 1}
	if in.Name != strconv.Itoa(in.Position) {
		r.out.Name = in.Name
	}
	for i, node := range in.Node.Children {
		step := Step{Step: i + 1, Instruction: node.Original}
		var err error
		switch strings.ToUpper(node.Value) {
		case "FROM":
			err = r.base(node)
		case "ADD", "COPY":
			err = r.copies(node, &step)
		case "RUN":
			err = r.run(node, &step)
		case "ARG":
			err = r.argument(node)
		}
		if err != nil {
			return nil, err
		}
		r.out.Steps = append(r.out.Steps, step)
	}
	slices.Sort(r.out.Arguments)
	r.out.Arguments = slices.Compact(r.out.Arguments)
	return &r.out, nil
}

// word replaces arguments by their values. The first that has a value counts.
func (r *reader) word(text string) (string, error) {
	b := r.stages[r.at].Builder
	var env []string
	for _, values := range []map[string]string{b.Args, r.local, b.HeadingArgs, b.BuiltinArgDefaults} {
		for name, value := range values {
			env = append(env, name+"="+value)
		}
	}
	word, err := imagebuilder.ProcessWord(text, env)
	if err != nil {
		return "", fmt.Errorf("while replacing arg variables with values for %q: %w", text, err)
	}
	return word, nil
}

// stage is the number of an earlier stage, or 0.
func (r *reader) stage(nameOrIndex string) int {
	for i := r.at - 1; i >= 0; i-- {
		if s := r.stages[i]; s.Name == nameOrIndex || strconv.Itoa(s.Position) == nameOrIndex {
			return i + 1
		}
	}
	return 0
}

func (r *reader) need(by, name string) Need {
	n := Need{Step: len(r.out.Steps) + 1, By: by}
	if c, ok := r.o.Contexts[name]; ok {
		if c.IsImage {
			n.Image = c.Value
			return n
		}
		n.Context = name
		return n
	}
	if n.Stage = r.stage(name); n.Stage == 0 {
		n.Image = name
		return n
	}
	// As buildah has it, a context may stand for a stage that is named by its number.
	if c, ok := r.o.Contexts[r.stages[n.Stage-1].Name]; ok {
		n.Stage = 0
		if c.IsImage {
			n.Image = c.Value
		} else {
			n.Context = r.stages[r.stage(name)-1].Name
		}
	}
	return n
}

func (r *reader) base(node *parser.Node) error {
	if node.Next == nil {
		return errors.New("FROM requires an argument")
	}
	name := node.Next.Value
	if r.from != "" {
		name = r.from
	}
	name, err := r.word(name)
	if err != nil {
		return err
	}
	n := r.need("FROM", name)
	r.out.Image, r.out.BaseStage = n.Image, n.Stage
	if n.Stage > 0 || n.Context != "" {
		r.out.Needs = append(r.out.Needs, n)
	}
	for _, flag := range node.Flags {
		after, ok := strings.CutPrefix(flag, "--after=")
		if !ok {
			continue
		}
		if after, err = r.word(after); err != nil {
			return err
		}
		on := Need{Step: 1, By: "--after", Stage: r.stage(after)}
		if on.Stage == 0 {
			return fmt.Errorf("FROM --after=%s: stage %q not found", after, after)
		}
		r.out.Needs = append(r.out.Needs, on)
	}
	return nil
}

func (r *reader) copies(node *parser.Node, step *Step) error {
	for _, flag := range node.Flags {
		if exclude, ok := strings.CutPrefix(flag, "--exclude="); ok {
			step.Excludes = append(step.Excludes, exclude)
		}
		from, ok := strings.CutPrefix(flag, "--from=")
		if !ok {
			continue
		}
		from, err := r.word(from)
		if err != nil {
			return err
		}
		r.out.Needs = append(r.out.Needs, r.need(strings.ToUpper(node.Value)+" --from", from))
		return nil
	}
	var words []string
	for n := node.Next; n != nil; n = n.Next {
		words = append(words, n.Value)
	}
	if len(words) == 0 {
		return nil
	}
	for _, source := range words[:len(words)-1] { // the last is the destination
		if strings.HasPrefix(source, "<<") {
			continue
		}
		source, err := r.word(source)
		if err != nil {
			return err
		}
		if strings.Contains(source, "://") || strings.HasPrefix(source, "git@") {
			step.URLs = append(step.URLs, source)
			continue
		}
		step.Context = append(step.Context, source)
	}
	return nil
}

func (r *reader) run(node *parser.Node, step *Step) error {
	for _, flag := range node.Flags {
		mount, ok := strings.CutPrefix(flag, "--mount=")
		if !ok {
			continue
		}
		kind, from, source := "bind", "", "."
		for field := range strings.SplitSeq(mount, ",") {
			switch name, value, _ := strings.Cut(field, "="); name {
			case "type":
				kind = value
			case "from":
				from = value
			case "source", "src":
				source = value
			}
		}
		switch {
		case from != "":
			from, err := r.word(from)
			if err != nil {
				return err
			}
			r.out.Needs = append(r.out.Needs, r.need("RUN --mount", from))
		case kind == "bind":
			source, err := r.word(source)
			if err != nil {
				return err
			}
			step.Context = append(step.Context, source)
		}
	}
	return nil
}

func (r *reader) argument(node *parser.Node) error {
	for arg := node.Next; arg != nil; arg = arg.Next {
		name, value, hasValue := strings.Cut(arg.Value, "=")
		if name == "" {
			continue
		}
		r.out.Arguments = append(r.out.Arguments, name)
		if !hasValue {
			continue
		}
		value, err := r.word(value)
		if err != nil {
			return err
		}
		r.local[name] = value
	}
	return nil
}
