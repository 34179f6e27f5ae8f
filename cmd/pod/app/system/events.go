package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/internal/timeparse"
	"github.com/rootless-pod/pod/pkg/events"
)

type eventsOptions struct {
	filters         []string
	format          string
	noTrunc, stream bool
	since, until    string
}

func newEvents(a *cli.App) *cobra.Command {
	o := eventsOptions{}
	cmd := &cobra.Command{
		Use: "events [options]", Short: "Show pod's events",
		Long: "Show what happened to containers, images and volumes. Without --since and --until only\n" +
			"what happens from now on is shown, until the command is interrupted. On a terminal it has colours, unless NO_COLOR is set.",
		Example: "  pod events\n  pod events --since 1h --stream=false\n  pod events --filter event=died --format json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runEvents(cmd.Context(), a, o) },
	}
	fs := cmd.Flags()
	fs.StringArrayVarP(&o.filters, "filter", "f", nil, "Filter output based on conditions given")
	fs.StringVar(&o.format, "format", "", "Format the output as JSON lines or with a Go template")
	fs.BoolVar(&o.noTrunc, "no-trunc", true, "Do not truncate the output")
	fs.StringVar(&o.since, "since", "", "Show all events created since timestamp")
	fs.BoolVar(&o.stream, "stream", true, "Stream events and do not exit when returning the last known event")
	fs.StringVar(&o.until, "until", "", "Show all events until timestamp")
	return cmd
}

func runEvents(ctx context.Context, a *cli.App, o eventsOptions) error {
	filter := events.Filter{Stream: o.stream}
	var err error
	if filter.Filters, err = events.ParseFilters(o.filters); err != nil {
		return err
	}
	now := time.Now()
	if o.since != "" {
		if filter.Since, err = timeparse.Parse(o.since, now); err != nil {
			return fmt.Errorf("--since: %w", err)
		}
	}
	if o.until != "" {
		if filter.Until, err = timeparse.ParseUntil(o.until, now); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
	}
	show, err := eventPrinter(a, o)
	if err != nil {
		return err
	}
	log, err := a.Events()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	for e, err := range log.Read(ctx, filter) {
		if err == nil {
			err = show(e)
		}
		if errors.Is(err, syscall.EPIPE) {
			return nil // `pod events | head` has seen enough
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eventPrinter returns what prints one event.
func eventPrinter(a *cli.App, o eventsOptions) (func(events.Event) error, error) {
	switch {
	case o.format == "":
		line := (*events.Event).Line
		out := a.Out
		if view.Colour(a.Out) {
			line = view.Event
			out = view.Colours(a.Out)
		}
		return func(e events.Event) error {
			_, err := fmt.Fprintln(out, line(&e, !o.noTrunc))
			return err
		}, nil
	case output.IsJSON(o.format):
		return func(e events.Event) error { return output.JSONLine(a.Out, jsonOf(&e)) }, nil
	}
	t, err := output.Parse(o.format)
	if err != nil {
		return nil, err
	}
	return func(e events.Event) error { return t.Execute(a.Out, rowOf(&e)) }, nil
}

// eventJSON has the keys of podman's JSON lines.
type eventJSON struct {
	Name              string        `json:",omitempty"`
	Status            events.Status `json:",omitempty"`
	Time              int64         `json:"time,omitempty"`
	TimeNano          int64         `json:"timeNano,omitempty"`
	Type              events.Type   `json:",omitempty"`
	Attributes        map[string]string
	ID                string `json:",omitempty"`
	PodID             string `json:",omitempty"`
	Image             string `json:",omitempty"`
	ContainerExitCode *int   `json:",omitempty"`
	OOMKilled         bool   `json:",omitempty"`
	HealthStatus      string `json:"health_status,omitempty"`
	Network           string `json:"network,omitempty"`
	Error             string `json:",omitempty"`
}

func jsonOf(e *events.Event) eventJSON {
	return eventJSON{
		Name: e.Name, Status: e.Status, Time: e.Time.Unix(), TimeNano: e.Time.UnixNano(), Type: e.Type,
		Attributes: e.Attributes, ID: e.ID, PodID: e.PodID, Image: e.Image, ContainerExitCode: e.ExitCode,
		OOMKilled: e.OOMKilled, HealthStatus: e.Health, Network: e.Network, Error: e.Error,
	}
}

// eventRow has the template fields of podman.
type eventRow struct {
	Attributes           map[string]string
	ContainerExitCode    int
	ContainerInspectData string
	Details              eventDetails
	Error                string
	HealthStatus         string
	ID, Image, Name      string
	Network              string
	OOMKilled            bool
	PodID                string
	Status               events.Status
	Time                 int64
	TimeNano             int64
	Type                 events.Type
	line                 string
}

type eventDetails struct {
	PodID      string
	Attributes map[string]string
}

// String is what {{.}} prints.
func (r eventRow) String() string { return r.line }

func rowOf(e *events.Event) eventRow {
	row := eventRow{
		Attributes: e.Attributes, Details: eventDetails{PodID: e.PodID, Attributes: e.Attributes}, Error: e.Error,
		HealthStatus: e.Health, ID: e.ID, Image: e.Image, Name: e.Name, Network: e.Network, OOMKilled: e.OOMKilled,
		PodID: e.PodID, Status: e.Status, Time: e.Time.Unix(), TimeNano: e.Time.UnixNano(), Type: e.Type, line: e.Line(false),
	}
	if e.ExitCode != nil {
		row.ContainerExitCode = *e.ExitCode
	}
	return row
}
