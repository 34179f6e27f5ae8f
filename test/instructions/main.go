// Command instructions guards the speed of pod where seconds cannot: it counts the
// instructions that pod's own process takes for a few commands, with valgrind's
// cachegrind, and compares them with recorded numbers. On a busy machine, too, the
// count moves by less than one per cent.
//
// make test runs it in the test host. README.md says how to read it and when to
// record new numbers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

// Exit codes: 1 is too many instructions, or a failure.
const codeNothingRecorded = 3

func main() {
	pod := flag.String("pod", "pod", "the `program` that prepares what is counted")
	counted := flag.String("counted", "quick", "the `program` that is counted, with its symbols")
	recorded := flag.String("recorded", "recorded.json", "the `file` with the numbers to compare with")
	update := flag.Bool("update", false, "compare nothing: print the recorded numbers with new ones for this architecture")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *pod, *counted, *recorded, *update)
	stop()
	switch {
	case err == nil:
		return
	case errors.Is(err, errNothingRecorded):
		fmt.Fprintln(os.Stdout, "skipped:", err)
		os.Exit(codeNothingRecorded)
	}
	fmt.Fprintln(os.Stdout, err)
	os.Exit(1)
}

func run(ctx context.Context, pod, counted, recorded string, update bool) error {
	all, err := load(recorded)
	if err != nil {
		return err
	}
	c, err := newCounter(ctx, pod, counted)
	if err != nil {
		return err
	}
	if update {
		err = c.update(ctx, all, os.Stdout)
	} else {
		err = check(ctx, all.of(c.with), c, os.Stdout)
	}
	return errors.Join(err, c.close(context.WithoutCancel(ctx)))
}
