package ociruntime

import "context"

// CheckpointOptions say how CRIU, through the runtime, writes processes to files
// or makes processes of them. Restoring takes all but LeaveRunning.
type CheckpointOptions struct {
	// Images is the directory of the process images, Work that of logs.
	Images, Work string
	// LeaveRunning lets the processes go on.
	LeaveRunning bool
	// TCPEstablished keeps open connections, FileLocks file locks.
	TCPEstablished, FileLocks bool
}

// Checkpoint writes the processes of a running container to files and ends them.
func (r *Runtime) Checkpoint(ctx context.Context, id string, o CheckpointOptions) error {
	args := []string{"--image-path", o.Images, "--work-path", o.Work}
	if o.LeaveRunning {
		args = append(args, "--leave-running")
	}
	_, err := r.run(ctx, "checkpoint", append(append(args, o.flags()...), id)...)
	return err
}

// flags are those that checkpoint and restore share.
func (o *CheckpointOptions) flags() []string {
	var flags []string
	if o.TCPEstablished {
		flags = append(flags, "--tcp-established")
	}
	if o.FileLocks {
		flags = append(flags, "--file-locks")
	}
	return flags
}

// conmonArgs make conmon restore a container instead of creating one.
func (o *CheckpointOptions) conmonArgs() []string {
	args := []string{"--restore", o.Images}
	for _, f := range o.flags() {
		args = append(args, "--runtime-opt", f)
	}
	return args
}
