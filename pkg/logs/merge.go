package logs

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Reader reads one log, as Read does.
type Reader func(ctx context.Context, emit func(Line) error) error

// ahead is how many lines Merge keeps of each log.
const ahead = 64

// longest bounds a line that is put together of pieces.
const longest = 1 << 20

// Merge reads several logs and calls emit for each line, with the number of its
// log, ordered by time as far as each log is. Lines come whole, up to a bound.
func Merge(ctx context.Context, readers []Reader, emit func(int, Line) error) error {
	group, ctx := errgroup.WithContext(ctx)
	queues := make([]chan Line, len(readers))
	for i, read := range readers {
		queue := make(chan Line, ahead)
		queues[i] = queue
		group.Go(func() error {
			defer close(queue)
			j := joiner{emit: func(l Line) error {
				l.Data = slices.Clone(l.Data)
				select {
				case queue <- l:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}}
			return j.read(ctx, read)
		})
	}
	group.Go(func() error { return merge(ctx, queues, emit) })
	return group.Wait()
}

func merge(ctx context.Context, queues []chan Line, emit func(int, Line) error) error {
	heads := make([]*Line, len(queues)) // nil: that log is at its end
	advance := func(i int) {
		heads[i] = nil
		if l, more := <-queues[i]; more {
			heads[i] = &l
		}
	}
	for i := range queues {
		advance(i)
	}
	for ctx.Err() == nil {
		first := -1
		for i, head := range heads {
			if head != nil && (first < 0 || head.Time.Before(heads[first].Time)) {
				first = i
			}
		}
		if first < 0 {
			return nil
		}
		if err := emit(first, *heads[first]); err != nil {
			return err
		}
		advance(first)
	}
	return ctx.Err()
}

// Follow reads several logs that grow and calls emit for each line as it comes,
// never two at once. Lines come whole, up to a bound.
func Follow(ctx context.Context, readers []Reader, emit func(int, Line) error) error {
	group, ctx := errgroup.WithContext(ctx)
	turn := make(chan struct{}, 1)
	for i, read := range readers {
		group.Go(func() error {
			j := joiner{emit: func(l Line) error {
				turn <- struct{}{}
				defer func() { <-turn }()
				return emit(i, l)
			}}
			return j.read(ctx, read)
		})
	}
	return group.Wait()
}

// joiner puts the pieces of lines together, so that those of several logs do not
// get into each other.
type joiner struct {
	emit func(Line) error
	open [2]*Line // of standard output and error
}

func (j *joiner) read(ctx context.Context, read Reader) error {
	if err := read(ctx, j.add); err != nil {
		return err
	}
	for _, l := range j.open { // output that ended without a newline
		if l != nil {
			l.Partial = false
			if err := j.emit(*l); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *joiner) add(l Line) error {
	i := index(l.Stderr)
	begun := j.open[i]
	if begun == nil && !l.Partial {
		return j.emit(l)
	}
	if begun == nil {
		begun = &Line{Time: l.Time, Stderr: l.Stderr}
		j.open[i] = begun
	}
	begun.Data = append(begun.Data, l.Data...)
	begun.Partial = l.Partial
	if l.Partial && len(begun.Data) < longest {
		return nil
	}
	// What is longer comes as several lines.
	j.open[i] = nil
	begun.Partial = false
	return j.emit(*begun)
}
