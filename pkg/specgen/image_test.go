package specgen

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestApplyImageCommand(t *testing.T) {
	img := ImageConfig{Entrypoint: []string{"/entry"}, Cmd: []string{"arg"}}
	cases := map[string]struct {
		entrypoint, command []string
		img                 ImageConfig
		want                []string
	}{
		"image's own":                    {img: img, want: []string{"/entry", "arg"}},
		"command replaces cmd":           {command: []string{"x"}, img: img, want: []string{"/entry", "x"}},
		"entrypoint discards cmd":        {entrypoint: []string{"/mine"}, img: img, want: []string{"/mine"}},
		"entrypoint and command":         {entrypoint: []string{"/mine"}, command: []string{"x"}, img: img, want: []string{"/mine", "x"}},
		"no entrypoint and command":      {entrypoint: []string{}, command: []string{"x"}, img: img, want: []string{"x"}},
		"no entrypoint discards cmd too": {entrypoint: []string{}, img: img},
		"cmd only":                       {img: ImageConfig{Cmd: []string{"sh"}}, want: []string{"sh"}},
		"nothing":                        {},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := Container{Process: Process{Entrypoint: tc.entrypoint, Command: tc.command}}
			err := c.ApplyImage(tc.img)
			if tc.want == nil {
				if !errors.Is(err, ErrNoCommand) {
					t.Fatalf("got %v, want ErrNoCommand", err)
				}
				return
			}
			if got := slices.Concat(c.Process.Entrypoint, c.Process.Command); err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

func TestApplyImageEnv(t *testing.T) {
	t.Setenv("HOST_ONLY", "secret")
	img := ImageConfig{Cmd: []string{"x"}, Env: []string{"A=image", "B=image", "HOST_ONLY", "HOST*", "*", "=v", "S*=v", "N=\x00", "C=c=d", "A=last"}}
	cases := map[string]struct {
		process Process
		want    []string
	}{
		"kept":      {want: []string{"A=last", "B=image", "C=c=d"}},
		"user wins": {process: Process{Env: []string{"B=user", "D="}}, want: []string{"A=last", "B=user", "C=c=d", "D="}},
		"unset":     {process: Process{UnsetEnv: []string{"A", "B"}, Env: []string{"B=user"}}, want: []string{"C=c=d", "B=user"}},
		"unset all": {process: Process{UnsetEnvAll: true, Env: []string{"D=1"}}, want: []string{"D=1"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := Container{Process: tc.process}
			if err := c.ApplyImage(img); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(c.Process.Env, tc.want) {
				t.Errorf("got %q, want %q", c.Process.Env, tc.want)
			}
		})
	}
}

func TestApplyImageRest(t *testing.T) {
	img := ImageConfig{
		Cmd: []string{"x"}, WorkingDir: "srv/../app", User: "web:www", StopSignal: "SIGQUIT",
		Labels: map[string]string{"a": "image", "b": "image"}, Volumes: []string{"/v2/", "v1", "/mine"},
		ExposedPorts: []string{"80/tcp", "53/udp"},
	}
	c := Container{
		Labels:  map[string]string{"a": "user"},
		Storage: Storage{Mounts: []Mount{{Type: "bind", Source: "/s", Destination: "/mine/"}}},
		Network: Network{Expose: []string{"80/tcp"}},
	}
	if err := c.ApplyImage(img); err != nil {
		t.Fatal(err)
	}
	if c.Process.WorkDir != "/app" || c.Process.User != "web:www" || c.Process.StopSignal != "SIGQUIT" {
		t.Errorf("got %+v", c.Process)
	}
	if !maps.Equal(c.Labels, map[string]string{"a": "user", "b": "image"}) || img.Labels["a"] != "image" {
		t.Errorf("labels %v, of the image %v", c.Labels, img.Labels)
	}
	var volumes []string
	for _, m := range c.Storage.Mounts[1:] {
		volumes = append(volumes, m.Type+":"+m.Source+":"+m.Destination)
	}
	if !slices.Equal(volumes, []string{"volume::/v2", "volume::/v1"}) {
		t.Errorf("volumes %v", volumes)
	}
	if !slices.Equal(c.Network.Expose, []string{"80/tcp", "53/udp"}) {
		t.Errorf("expose %v", c.Network.Expose)
	}
	for mode, want := range map[string]int{"tmpfs": 3, "ignore": 0, "bind": 3, "anonymous": 3} {
		c := Container{Storage: Storage{ImageVolume: mode}}
		if err := c.ApplyImage(img); err != nil || len(c.Storage.Mounts) != want {
			t.Errorf("%s: %v, %v", mode, c.Storage.Mounts, err)
		}
		if mode == "tmpfs" && c.Storage.Mounts[0].Type != "tmpfs" {
			t.Errorf("tmpfs: %v", c.Storage.Mounts)
		}
	}
}

func TestApplyImageRefuses(t *testing.T) {
	cases := map[string]struct {
		img  ImageConfig
		want string
	}{
		"volume over proc": {ImageConfig{Volumes: []string{"/proc"}}, "--image-volume=ignore"},
		"volume in sys":    {ImageConfig{Volumes: []string{"/x/../sys/fs"}}, "--image-volume=ignore"},
		"volume at root":   {ImageConfig{Volumes: []string{".."}}, "--image-volume=ignore"},
		"volume control":   {ImageConfig{Volumes: []string{"/a\nb"}}, "--image-volume=ignore"},
		"signal":           {ImageConfig{StopSignal: "SIGNOPE"}, "--stop-signal"},
		"user":             {ImageConfig{User: "a:b:c"}, "--user"},
		"port":             {ImageConfig{ExposedPorts: []string{"99999"}}, "exposed port"},
		"workdir":          {ImageConfig{WorkingDir: "/a\x00"}, "working directory"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := shell()
			err := c.ApplyImage(tc.img)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestPublishAll(t *testing.T) {
	c := Container{Network: Network{
		PublishAll: true, Expose: []string{"81-82", "53/udp"},
		Ports: []PortMapping{{HostPort: 8080, ContainerPort: 80, Range: 2, Protocol: "tcp"}},
	}}
	if err := c.ApplyImage(ImageConfig{Cmd: []string{"x"}, ExposedPorts: []string{"80/tcp", "53/udp", "90/tcp"}}); err != nil {
		t.Fatal(err)
	}
	want := []PortMapping{
		{HostPort: 8080, ContainerPort: 80, Range: 2, Protocol: "tcp"},
		{ContainerPort: 82, Range: 1, Protocol: "tcp"},
		{ContainerPort: 53, Range: 1, Protocol: "udp"},
		{ContainerPort: 90, Range: 1, Protocol: "tcp"},
	}
	if !slices.Equal(c.Network.Ports, want) {
		t.Errorf("ports %v, want %v", c.Network.Ports, want)
	}
}
