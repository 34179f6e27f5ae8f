package unitgen

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

// fakeFlags are the options of a small command tree.
type fakeFlags struct{}

var (
	takes  = []string{"name", "env", "label", "restart", "sdnotify", "cidfile", "pod", "root", "publish", "exit-policy", "pod-id-file", "infra-conmon-pidfile", "cgroups", "log-level", "attach"}
	bools  = []string{"rm", "detach", "replace", "tty", "interactive"}
	global = []string{"root", "log-level"}
	short  = map[byte]string{'d': "detach", 't': "tty", 'i': "interactive", 'e': "env", 'l': "label", 'p': "publish", 'a': "attach"}
)

func (fakeFlags) Long(command []string, name string) (bool, bool) {
	if len(command) == 0 {
		return slices.Contains(takes, name), slices.Contains(global, name)
	}
	return slices.Contains(takes, name), slices.Contains(takes, name) || slices.Contains(bools, name)
}
func (fakeFlags) Short(_ []string, letter byte) string { return short[letter] }

func host() *Host {
	return &Host{
		Program: []string{"/usr/bin/pod"}, RunRoot: "/run/user/1000/containers", Network: "net.service", Version: "1",
		Now: time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC), Flags: fakeFlags{}, All: []string{"SEC=va l", "SED=$x"},
		Environ: func(name string) (string, bool) {
			v, ok := map[string]string{"SEC": "va l", "SED": "$x"}[name]
			return v, ok
		},
	}
}

func options() *Options {
	return &Options{New: true, Names: true, ContainerPrefix: "container", PodPrefix: "pod", Separator: "-"}
}

func line(args string) []string { return append([]string{"pod"}, strings.Fields(args)...) }

// flat joins continued lines.
func flat(text string) string { return strings.ReplaceAll(text, " \\\n\t", " ") }

func TestContainerNew(t *testing.T) {
	const fixed = "--cidfile=%t/%n.ctr-id --cgroups=no-conmon --rm "
	tests := map[string]struct {
		args    []string
		options func(*Options)
		want    []string
		fails   string
	}{
		"plain":          {args: line("run --name web img sleep 9"), want: []string{"ExecStart=/usr/bin/pod run " + fixed + "--sdnotify=conmon -d --replace --name web img sleep 9\n"}},
		"detached":       {args: line("run -dit --name=web img"), want: []string{"run " + fixed + "--sdnotify=conmon --replace -dit --name=web img\n"}},
		"no name":        {args: line("create img"), want: []string{"run " + fixed + "--sdnotify=conmon -d img\n"}},
		"replaced":       {args: line("run --rm=false --cidfile /x --cgroups=split --replace --detach=false -a stdout --name web img"), want: []string{fixed + "--sdnotify=conmon -d --replace --name web img\n"}},
		"own sdnotify":   {args: line("run --sdnotify container img"), want: []string{fixed + "-d --sdnotify container img\n"}},
		"ignored":        {args: line("run --sdnotify=ignore img"), want: []string{fixed + "--sdnotify=conmon -d img\n"}},
		"group":          {args: line("container run img"), want: []string{"ExecStart=/usr/bin/pod run " + fixed}},
		"global":         {args: line("--root /r --log-level=debug run --name w img"), want: []string{"ExecStart=/usr/bin/pod --root /r --log-level=debug run ", "ExecStop=/usr/bin/pod stop --ignore -t 7 --cidfile"}},
		"global behind":  {args: line("run --root /r img"), want: []string{"ExecStart=/usr/bin/pod --root /r run "}},
		"the command's":  {args: line("run img run --rm --name x"), want: []string{"-d img run --rm --name x\n"}},
		"restart":        {args: line("run --restart=always img"), want: []string{"Restart=always\n", "-d img\n"}},
		"unless":         {args: line("run --restart unless-stopped img"), want: []string{"Restart=always\n"}},
		"retries":        {args: line("run --restart on-failure:3 img"), want: []string{"Restart=on-failure\n", "StartLimitBurst=3\n"}},
		"policy wins":    {args: line("run --restart always img"), options: func(o *Options) { o.Restart = "no" }, want: []string{"Restart=no\n"}},
		"environment":    {args: line("run -e SEC --env X=Y img"), want: []string{"Environment=\"SEC=va l\"\n", "-e SEC --env X=Y img\n"}},
		"environments":   {args: line("run -eSE* img"), want: []string{"Environment=\"SEC=va l\"\nEnvironment=SED=$x\n"}},
		"template":       {args: line("run --name a --name=b img"), options: func(o *Options) { o.Template = true }, want: []string{"# container-web@.service", "for %I\n", "--name a-%i --name b-%i img\n"}},
		"quotes":         {args: append(line("run img"), "", "*", "$X", "%n", ";", "a b", `'`, `"`, `\`, "a\nb\tc", "\xff", "-x"), want: []string{"img \"\" * $$X %%n \";\" \"a b\" \"'\" \"\\\"\" \"\\\\\" \"a\\nb\\tc\" \"\\xff\" -x\n"}},
		"unknown":        {args: line("run --never img"), fails: "--never"},
		"unknown letter": {args: line("run -z img"), fails: "-z"},
		"no value":       {args: line("run --name"), fails: "lacks its value"},
		"a clone":        {args: line("container clone --name web old"), fails: "pod container clone"},
		"nothing":        {fails: "no create command found"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := options()
			if test.options != nil {
				test.options(o)
			}
			unit, err := ForContainer(&Container{ID: "123", Name: "web", Command: test.args, StopTimeout: 7}, o, host())
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Fatalf("error %v, want %q", err, test.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range append(test.want, "TimeoutStopSec=67\n", "Type=notify\nNotifyAccess=all\n", "RequiresMountsFor=%t/containers\n") {
				if !strings.Contains(flat(unit.Text), want) {
					t.Errorf("%q is missing in\n%s", want, flat(unit.Text))
				}
			}
		})
	}
}

func TestContainerExisting(t *testing.T) {
	five := uint(5)
	o := options()
	o.New, o.Restart, o.RestartSec, o.StartTimeout, o.StopTimeout = false, "always", 3, 4, &five
	o.Wants, o.After, o.Requires, o.Env = []string{"a.service", "b.service"}, []string{"c.service"}, []string{"d@%.service"}, []string{"A=b c", "SEC", "NONE"}
	h := host()
	h.Program = append(h.Program, "--root=/a b")
	unit, err := ForContainer(&Container{ID: "123", Name: "web", PIDFile: "/run/c%.pid", StopTimeout: 10}, o, h)
	if err != nil {
		t.Fatal(err)
	}
	const want = `# container-web.service
# autogenerated by Pod 1
# Mon Nov  2 03:04:05 UTC 2026

[Unit]
Description=Pod container-web.service
Documentation=man:pod-generate-systemd(1)
Wants=net.service
After=net.service
RequiresMountsFor=/run/user/1000/containers

# User-defined dependencies
After=c.service
Requires=d@%%.service
Wants=a.service b.service

[Service]
Environment=PODMAN_SYSTEMD_UNIT=%n
Environment="A=b c"
Environment="SEC=va l"
Restart=always
RestartSec=3
TimeoutStartSec=4
TimeoutStopSec=65
ExecStart=/usr/bin/pod "--root=/a b" start web
ExecStop=/usr/bin/pod "--root=/a b" stop -t 5 web
ExecStopPost=/usr/bin/pod "--root=/a b" stop -t 5 web
PIDFile=/run/c%%.pid
Type=forking

[Install]
WantedBy=default.target
`
	if unit.Text != strings.ReplaceAll(want, "\t", " \\\n\t") && flat(unit.Text) != want {
		t.Errorf("got\n%s", flat(unit.Text))
	}
	if !slices.Equal(unit.Private, []string{"SEC"}) {
		t.Errorf("private: %v", unit.Private)
	}
}

func TestPod(t *testing.T) {
	p := &Pod{
		ID: "p1", Name: "shop", Command: line("pod create --name shop -p 80:80 --pod-id-file /x --replace"), Infra: &Container{ID: "i", StopTimeout: 10},
		Containers: []Container{
			{ID: "b", Name: "late", Command: line("run --pod shop --name late img"), Needs: []string{"a", "i"}},
			{ID: "a", Name: "early", Command: line("create --pod=shop --name early img"), Needs: []string{"i"}},
		},
	}
	units, err := ForPod(p, options(), host())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, u := range units {
		names = append(names, u.Name)
	}
	if want := []string{"pod-shop", "container-early", "container-late"}; !slices.Equal(names, want) {
		t.Fatalf("units %v, want %v", names, want)
	}
	for i, wants := range [][]string{
		{
			"Wants=container-early.service container-late.service\nBefore=container-early.service container-late.service\n",
			"ExecStartPre=/usr/bin/pod pod create --infra-conmon-pidfile %t/pod-shop.pid --pod-id-file %t/pod-shop.pod-id --exit-policy=stop --name shop -p 80:80 --replace\n",
			"ExecStart=/usr/bin/pod pod start --pod-id-file %t/pod-shop.pod-id\n", "PIDFile=%t/pod-shop.pid\nType=forking\n",
			"ExecStop=/usr/bin/pod pod stop --ignore --pod-id-file %t/pod-shop.pod-id -t 10\n", "ExecStopPost=/usr/bin/pod pod rm --ignore -f --pod-id-file %t/pod-shop.pod-id\n",
		},
		{"BindsTo=pod-shop.service\nAfter=pod-shop.service\n", "--rm --pod-id-file %t/pod-shop.pod-id --sdnotify=conmon -d --replace --name early img\n"},
		{"BindsTo=container-early.service pod-shop.service\n"},
	} {
		for _, want := range wants {
			if !strings.Contains(flat(units[i].Text), want) {
				t.Errorf("%q is missing in\n%s", want, flat(units[i].Text))
			}
		}
	}
}

func TestPodRefused(t *testing.T) {
	tests := map[string]struct {
		pod     Pod
		options func(*Options)
		want    string
	}{
		"template":   {pod: Pod{Infra: &Container{}}, options: func(o *Options) { o.Template = true }, want: "--template is not supported for pods"},
		"no infra":   {want: "has no infra container"},
		"by run":     {pod: Pod{Infra: &Container{}, Command: line("run --pod new:x img")}, want: "does not appear to be created via"},
		"init":       {pod: Pod{Infra: &Container{}, Command: line("pod create"), Containers: []Container{{InitCtr: true}}}, want: "init containers"},
		"no command": {pod: Pod{Infra: &Container{}}, want: "no create command found"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := options()
			if test.options != nil {
				test.options(o)
			}
			if _, err := ForPod(&test.pod, o, host()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(*Options)
		want string
	}{
		"fine":      {func(o *Options) { o.Restart, o.ContainerPrefix, o.Separator = "on-abort", "", "_" }, ""},
		"policy":    {func(o *Options) { o.Restart = "bad" }, "bad is not a valid restart policy"},
		"separator": {func(o *Options) { o.Separator = "/" }, "--separator"},
		"prefix":    {func(o *Options) { o.PodPrefix = "a b" }, "--pod-prefix"},
		"wants":     {func(o *Options) { o.Wants = []string{"a\nExecStart=x"} }, "--wants"},
		"env":       {func(o *Options) { o.Env = []string{"=x"} }, "--env"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			test.set(o)
			if err := o.Check(); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestReadBack has systemd's rules read every word back.
func TestReadBack(t *testing.T) {
	args := []string{"run", "--label", "a=\"b' c\\", "-e", "", "img", ";", "*", "a\tb\nc\rd\x01", "$X ${Y} $$", "%n %%", "\xff\xfe", "ä\u00a0ö", "-x", "#no", "--"}
	unit, err := ForContainer(&Container{Name: "web", Command: append([]string{"pod"}, args...)}, options(), host())
	if err != nil {
		t.Fatal(err)
	}
	file, err := unitfile.Parse("web.service", []byte(unit.Text))
	if err != nil {
		t.Fatal(err)
	}
	value, _ := file.Get("Service", "ExecStart")
	got, balanced := unitfile.Words(value.Text, unitfile.Unescape)
	if !balanced || len(got) < len(args) {
		t.Fatalf("words %q", got)
	}
	got = got[len(got)-len(args)+1:]
	for i, want := range args[1:] {
		if have := strings.NewReplacer("%%", "%", "$$", "$").Replace(got[i]); have != want {
			t.Errorf("%q came back as %q", want, have)
		}
	}
}
