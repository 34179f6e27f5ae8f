package ociruntime

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestErrorsOfRuntimes holds what crun 1.8.1 and 1.21 and runc 1.1.5 wrote, as
// captured, for commands that cannot run and containers in the wrong state.
func TestErrorsOfRuntimes(t *testing.T) {
	const runcWarning = `time="2026-11-22T00:20:24Z" level=warning msg="unable to get oom kill count" error="openat2 /sys/fs/cgroup/x1/memory.events: no such file or directory"` + "\n"
	runc := func(msg string) string {
		return `time="2026-11-22T00:20:24Z" level=error msg="` + msg + `"` + "\n"
	}
	for _, c := range []struct {
		name, text string
		kind       Kind
		message    string // empty: the text itself
	}{
		{"crun 1.8 name", "executable file `nosuch` not found in $PATH: No such file or directory\n", KindNotFound, ""},
		{"crun 1.8 path", "executable file `/nosuch` not found in $PATH: No such file or directory\n", KindNotFound, ""},
		{"crun 1.21 path", "executable file `/nosuch` not found: No such file or directory\n", KindNotFound, ""},
		{"crun 1.8 directory", "open executable: Operation not permitted\n", KindNotExecutable, ""},
		{"crun 1.8 mode", "open executable: Permission denied\n", KindNotExecutable, ""},
		{"crun 1.8 below a file", "open executable: Not a directory\n", KindNotExecutable, ""},
		{"crun 1.8 loop", "open executable: Too many levels of symbolic links\n", KindNotExecutable, ""},
		{"crun 1.21 directory", "the path `/adir` is not a regular file: Operation not permitted\n", KindNotExecutable, ""},
		{"crun 1.21 mode", "the path `/noexec` exists but it is not executable: Operation not permitted\n", KindNotExecutable, ""},
		{"crun 1.21 below a file", "cannot open `/bin/true/x`: Not a directory\n", KindNotExecutable, ""},
		{"crun 1.21 loop", "cannot open `/loop`: Too many levels of symbolic links\n", KindNotExecutable, ""},
		{"crun 1.8 interpreter", "exec container process (missing dynamic library?) `/badinterp`: No such file or directory\n", KindNotFound, ""},
		{"crun garbage", "exec container process `/garbage`: Exec format error\n", KindNotExecutable, ""},
		{"crun exec garbage", "exec: Exec format error\n", KindNotExecutable, ""},
		{"crun 1.8 workdir", "chdir `/nodir`: No such file or directory\n", KindNotFound, ""},
		{"crun 1.21 workdir", "chdir to `/nodir`: No such file or directory\n", KindNotFound, ""},
		{
			"runc name", runcWarning + runc(`runc create failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH`),
			KindNotFound, `exec: "nosuch": executable file not found in $PATH`,
		},
		{
			"runc path", runcWarning + runc(`runc create failed: unable to start container process: exec: \"/nosuch\": stat /nosuch: no such file or directory`),
			KindNotFound, `exec: "/nosuch": stat /nosuch: no such file or directory`,
		},
		{
			"runc mode", runcWarning + runc(`runc create failed: unable to start container process: exec: \"/noexec\": permission denied`),
			KindNotExecutable, `exec: "/noexec": permission denied`,
		},
		{
			"runc below a file", runc(`runc create failed: unable to start container process: exec: \"/bin/true/x\": stat /bin/true/x: not a directory`),
			KindNotExecutable, `exec: "/bin/true/x": stat /bin/true/x: not a directory`,
		},
		{
			"runc exec", runc(`exec failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH`),
			KindNotFound, `exec: "nosuch": executable file not found in $PATH`,
		},
		{
			"runc workdir", runc(`exec failed: unable to start container process: chdir to cwd (\"/nodir\") set in config.json failed: no such file or directory`),
			KindNotFound, `chdir to cwd ("/nodir") set in config.json failed: no such file or directory`,
		},
		{
			"runc json", `{"level":"error","msg":"runc create failed: unable to start container process: exec: \"x\": permission denied","time":"t"}`,
			KindNotExecutable, `exec: "x": permission denied`,
		},
		{"crun json", `{"msg":"executable file x not found in $PATH","level":"error","time":"t"}`, KindNotFound, "executable file x not found in $PATH"},
		{"crun unknown container", "error opening file `/run/st/nope/status`: No such file or directory\n", KindNoContainer, ""},
		{"crun 1.8 delete unknown", "cannot open directory '/run/st/nope': No such file or directory\n", KindNoContainer, ""},
		{"crun 1.21 delete unknown", "cannot open directory `/run/st/nope`: No such file or directory\n", KindNoContainer, ""},
		{"runc unknown container", runc("container does not exist"), KindNoContainer, "container does not exist"},
		{"crun start dead", "cannot open `/run/st/x2/exec.fifo`: No such file or directory\n", KindNotRunning, ""},
		{"crun 1.8 exec dead", "setns(pid=24804, CLONE_NEWUSER): No such process\n", KindNotRunning, ""},
		{"crun 1.21 exec dead", "setns `mnt`: Bad file descriptor\n", KindNotRunning, ""},
		{"crun delete running", "the container `x2` is not in `created` or `stopped` state\n", KindNotRunning, ""},
		{"runc start twice", runc("cannot start an already running container"), KindNotRunning, "cannot start an already running container"},
		{
			"runc exec dead",
			`time="2026-11-22T00:20:27Z" level=fatal msg="nsexec-1[27648]: failed to open /proc/27148/ns/ipc: No such file or directory"` + "\n" +
				runc("exec failed: unable to start container process: error executing setns process: exit status 1"),
			KindNotRunning, "error executing setns process: exit status 1",
		},
		{"crun pause", "cannot pause the container without a cgroup\n", KindCgroup, ""},
		{"missing bind source is no missing command", "cannot stat `/src`: No such file or directory\n", KindOther, ""},
		{
			"runc bind source", runc(`runc create failed: unable to start container process: error during container init: error mounting \"/src\" to rootfs at \"/dst\": stat /src: no such file or directory`),
			KindOther, `error during container init: error mounting "/src" to rootfs at "/dst": stat /src: no such file or directory`,
		},
		{"several lines and escapes", "error: something \x1b[31mred\nand\tmore\n", KindOther, "something [31mred and more"},
		{"crun usage", "crun: unrecognized option '--x'\nTry `crun --help' or `crun --usage' for more information.\n", KindOther, "crun: unrecognized option '--x'"},
		{"runc start stopped", runc("cannot start a container that has stopped"), KindNotRunning, "cannot start a container that has stopped"},
		{"nothing", "", KindOther, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := newError("rt", "create", "id", c.text)
			want := c.message
			if want == "" {
				want = strings.TrimSuffix(c.text, "\n")
			}
			if err.Message != want {
				t.Errorf("message %q, want %q", err.Message, want)
			}
			if wrapped := fmt.Errorf("start: %w", err); KindOf(wrapped) != c.kind {
				t.Errorf("kind %d, want %d", KindOf(wrapped), c.kind)
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error %q is not one clean line", err.Error())
			}
		})
	}
}

func TestKindOfForeignErrors(t *testing.T) {
	if KindOf(errors.New("x")) != KindOther || KindOf(nil) != KindOther {
		t.Error("a foreign error has a kind")
	}
}

func TestErrorExitCode(t *testing.T) {
	for kind, code := range map[Kind]int{KindNotFound: 127, KindNotExecutable: 126, KindOther: 125, KindNotRunning: 125} {
		if got := (&Error{Kind: kind}).ExitCode(); got != code {
			t.Errorf("kind %d: exit code %d, want %d", kind, got, code)
		}
	}
}

func TestSandboxErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Kind{
		`starting container: starting root container: starting sandbox: error finding executable "no" in PATH [/bin]: no such file or directory`:        KindNotFound,
		`executing processes for container: executing command "no" in sandbox: error finding executable "no" in PATH [/bin]: no such file or directory`: KindNotFound,
		`starting container: starting root container: starting sandbox: creating process: failed to load /etc: permission denied`:                       KindNotExecutable,
		`creating container: cannot set up cgroup for root: open /sys/fs/cgroup/x: permission denied`:                                                   KindCgroup,
	} {
		if got := newError("runsc", "start", "id", text); got.Kind != want {
			t.Errorf("%s: kind %d, want %d", got.Message, got.Kind, want)
		}
	}
}
