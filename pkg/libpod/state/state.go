// Package state owns what pod remembers: durable records beside the images, in
// <graph root>/pod/state.db, and run-time state in the run directory, which a
// reboot makes void. It owns the locks of objects too. What a record means, and
// how it is brought in line with the kernel, is libpod's matter.
package state

import (
	"encoding/json"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Container is the record of a container.
type Container struct {
	// ID is 64 lower-case hexadecimal digits.
	ID   string `json:"-"`
	Name string `json:"-"`
	// Created is when the record was made, in UTC.
	Created time.Time `json:"created"`
	// Spec is the description with the image's defaults applied.
	Spec specgen.Container `json:"spec"`
	// ImageID, ImageName and ImageDigest are of the image it was made from.
	ImageID     string `json:"image_id,omitempty"`
	ImageName   string `json:"image_name,omitempty"`
	ImageDigest string `json:"image_digest,omitempty"`
	// Volatile records live in the run directory and end with this boot (--rm).
	Volatile bool `json:"-"`
	// Wanted is what the user last asked for: true after start, false after
	// stop, kill and the like. A shutdown of the machine does not change it.
	Wanted bool `json:"wanted,omitempty"`
	// Last describes the last finished run; nil before the first.
	Last *Exit `json:"last,omitempty"`
	// Restarts counts restarts by policy since the last start by a user.
	Restarts int `json:"restarts,omitempty"`
	// QuickEnds counts those of them that did not hold, in a row.
	QuickEnds int `json:"quick_ends,omitempty"`
	// AnonymousVolumes are volumes made for this container, removed with it.
	AnonymousVolumes []string `json:"anonymous_volumes,omitempty"`
	// Unit is the systemd unit whose process made the container, as its environment
	// said then. A label of that name is never read: images have labels too.
	Unit string `json:"unit,omitempty"`
	// AutoUpdate is what the user's own labels say of updates; nil: nothing.
	AutoUpdate *AutoUpdate `json:"auto_update,omitempty"`
	// Run is the state of the present run; nil when nothing of it runs.
	Run *Run `json:"-"`
}

// AutoUpdate is how a user wants a container updated.
type AutoUpdate struct {
	// Policy and Authfile are the values of the labels.
	Policy   string `json:"policy"`
	Authfile string `json:"authfile,omitempty"`
	// Asked is the description without the defaults of the image, to be made anew
	// with another one. A container of a unit has none: the unit makes it.
	Asked *specgen.Container `json:"asked,omitempty"`
}

// Exit is how a run ended.
type Exit struct {
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
	Code       int       `json:"code"`
	// Unknown: the monitor died, nobody saw the code. Code is then -1.
	Unknown   bool   `json:"unknown,omitempty"`
	OOMKilled bool   `json:"oom_killed,omitempty"`
	Error     string `json:"error,omitempty"`
	// Stopped: a user's stop or kill came before the end.
	Stopped bool `json:"stopped,omitempty"`
	// Unhealthy: a health check ended it, to have it started again.
	Unhealthy bool `json:"unhealthy,omitempty"`
}

// Phase says how far a run has come. It is written before the step it names, so
// that whoever comes after a killed process knows what may exist.
type Phase string

// The phases, in order.
const (
	PhaseCreating Phase = "creating" // storage may exist, the record is not finished
	PhaseCreated  Phase = "created"  // a plain created container has no Run at all
	PhaseStarting Phase = "starting" // mounts, network, conmon may exist
	PhaseInit     Phase = "init"     // the runtime created it, it is not started
	PhaseRunning  Phase = "running"
	PhasePaused   Phase = "paused"
	PhaseCleaning Phase = "cleaning" // its end is known, remains are being removed
	PhaseRemoving Phase = "removing"
)

// Run is the state of a container that ends with this boot. BootID is set by
// the store; a row of another boot is never returned as a Run.
type Run struct {
	Phase Phase `json:"phase"`
	// Owner is the pod process that is at work on it, if any.
	Owner Process `json:"owner"`
	// Init is the container's first process, Conmon its monitor.
	Init   Process `json:"init"`
	Conmon Process `json:"conmon"`
	// Making: the process that starts the container makes it too. Until it has,
	// undoing the start removes the container.
	Making bool `json:"making,omitempty"`
	// StartedAt is zero before the start.
	StartedAt time.Time `json:"started_at"`
	// Stopping is set when a user's stop or kill is under way.
	Stopping bool `json:"stopping,omitempty"`
	// Unhealthy is set when a health check ends it, to have it started again.
	Unhealthy bool `json:"unhealthy,omitempty"`
	// Unit is the systemd unit whose process started it.
	Unit string `json:"unit,omitempty"`
	// Network is what the network driver needs for its teardown.
	Network json.RawMessage `json:"network,omitempty"`
	// Cgroup is the container's cgroup path, if it has one.
	Cgroup string `json:"cgroup,omitempty"`
	// Poststop are OCI hooks to run when the run has ended.
	Poststop []rspec.Hook `json:"poststop,omitempty"`
	// Limits: a change of limits is under way.
	Limits *Limits `json:"limits,omitempty"`
	// Reshaping: a change of the network's rate, delay or loss is under way.
	Reshaping bool `json:"reshaping,omitempty"`
	// Volumes: a removal under way takes the anonymous volumes along.
	Volumes bool `json:"volumes,omitempty"`
}

// Limits are what the cgroup's files held before a change, and what the record
// will hold after it.
type Limits struct {
	Before map[string]string `json:"before"`
	After  specgen.Resources `json:"after"`
}

// Process names a process so that a recycled pid is never mistaken for it.
type Process = process.ID

// Exec is a session of exec in a container; it lives in the run directory.
type Exec struct {
	ID        string    `json:"id"`
	Container string    `json:"container"`
	Command   []string  `json:"command"`
	User      string    `json:"user,omitempty"`
	Terminal  bool      `json:"terminal,omitempty"`
	Stdin     bool      `json:"stdin,omitempty"`
	Created   time.Time `json:"created"`
	Process   Process   `json:"process"`
	Conmon    Process   `json:"conmon"`
	// Exited and Code once it is over.
	Exited bool `json:"exited,omitempty"`
	Code   int  `json:"code,omitempty"`
}

// Volume is the record of a named or anonymous volume.
type Volume struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	// Driver is local, image, or the name of a plugin.
	Driver string            `json:"driver"`
	Labels map[string]string `json:"labels,omitempty"`
	// Options are those of the driver, as they were given.
	Options   map[string]string `json:"options,omitempty"`
	Anonymous bool              `json:"anonymous,omitempty"`
	// NeedsCopyUp until a container has filled it from its image; NeedsChown until
	// something is in it: up to then each use gives it its owner.
	NeedsCopyUp bool `json:"needs_copy_up,omitempty"`
	NeedsChown  bool `json:"needs_chown,omitempty"`
	// Making: a restore makes the volume; without a process at it, it is nothing.
	Making bool `json:"making,omitempty"`
	UID    int  `json:"uid,omitempty"`
	GID    int  `json:"gid,omitempty"`
	// StorageID is the container of the store that holds what is written over an
	// image (driver image).
	StorageID  string `json:"storage_id,omitempty"`
	Mountpoint string `json:"-"`
}
