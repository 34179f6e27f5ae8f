package main

import "context"

const (
	growthName  = "10 created, listed, removed: 1000/0"
	growthLimit = 1.3
)

// growth is how much longer it takes to make ten containers, list all, and remove
// the ten when the store holds 1000 than when it holds none: a ratio of each tool
// to itself. Both stores are measured in each round, one after the other, so that
// a machine that is slower a minute later does not look like a store that grew.
func (b *bench) growth() spec {
	return spec{
		name: growthName, limit: growthLimit, unit: "times", slow: true, own: true,
		setup: func(ctx context.Context, t *tool) error {
			if err := b.makeEmpty(ctx, t); err != nil {
				return err
			}
			return b.fill(1000)(ctx, t)
		},
		do: func(ctx context.Context, t *tool, id string) (float64, error) {
			return growthOf(func(full bool) (float64, error) {
				if full {
					return b.ten(ctx, t, id)
				}
				return b.ten(ctx, b.empty[t.name], id)
			})
		},
	}
}

// growthOf measures both stores twice, in the order that favours neither.
func growthOf(measure func(full bool) (float64, error)) (float64, error) {
	sums := map[bool]float64{}
	for _, full := range []bool{false, true, true, false} {
		ms, err := measure(full)
		if err != nil {
			return 0, err
		}
		sums[full] += ms
	}
	return sums[true] / sums[false], nil
}

// ten is the time of ten containers created and removed and one list of all, from
// one of each.
func (b *bench) ten(ctx context.Context, t *tool, id string) (float64, error) {
	sum := 0.0
	for _, call := range []struct {
		times float64
		args  []string
	}{
		{10, []string{"create", "--name", id, b.image, "true"}},
		{1, []string{"ps", "-a"}},
		{10, []string{"rm", id}},
	} {
		settle(ctx)
		ms, err := b.timed(ctx, t, call.args...)
		if err != nil {
			return 0, err
		}
		sum += call.times * ms
	}
	return sum, nil
}

// makeEmpty gives a tool a second store, with the image and no container.
func (b *bench) makeEmpty(ctx context.Context, t *tool) error {
	empty := *t
	empty.root += "-empty"
	empty.runRoot += "-empty"
	b.empty[t.name] = &empty
	_, err := empty.run(ctx, "pull", "-q", "--tls-verify=false", b.image)
	return err
}
