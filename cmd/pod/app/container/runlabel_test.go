package container

import (
	"slices"
	"strings"
	"testing"
)

func TestLabelCommand(t *testing.T) {
	l := labelCommand{image: "quay.io/app", name: "app", opts: [3]string{"first"}}
	tests := []struct {
		label, want, fails string
	}{
		{label: "podman run --name NAME -d IMAGE sleep 5", want: "run --name app -d quay.io/app sleep 5"},
		{label: "/usr/bin/docker run -e NAME=NAME -e IMAGE=IMAGE --label 'a b' $GLOBAL_OPTS ${IMAGE} ${OPT1}", want: "run -e NAME=app -e IMAGE=quay.io/app --label a b quay.io/app first"},
		{label: "pod rm -f NAME", want: "rm -f app"},
		{label: "pod run -v /data -p 8080:80 IMAGE", want: "run -v /data -p 8080:80 quay.io/app"},
		{label: "sh -c 'id'", fails: "not pod"},
		{label: "/tmp/evil/run IMAGE", fails: "not pod"},
		{label: "pod run IMAGE $HOME", fails: "of variables"},
		{label: "pod run 'IMAGE", fails: "has no end"},
		{label: "", fails: "empty"},
		{label: "pod run --privileged IMAGE", fails: "--privileged"},
		{label: "pod run -v /:/host IMAGE", fails: "of the host"},
		{label: "pod run -v data:/data IMAGE", fails: "volume data"},
		{label: "pod run --pid host IMAGE", fails: "--pid"},
		{label: "pod run --network host IMAGE", fails: "--network"},
		{label: "pod run --security-opt seccomp=unconfined IMAGE", fails: "--security-opt"},
		{label: "pod run --cap-add ALL IMAGE", fails: "--cap-add"},
		{label: "pod run --device /dev/sda IMAGE", fails: "--device"},
		{label: "pod run --env-file /etc/passwd IMAGE", fails: "--env-file"},
		{label: "pod run --cidfile /tmp/x IMAGE", fails: "--cidfile"},
		{label: "pod run -e SECRET IMAGE", fails: "SECRET"},
		{label: "pod run -dieSECRET IMAGE", fails: "SECRET"},
		{label: "pod run --env SECRET* IMAGE", fails: "SECRET"},
		{label: "pod run -p 80:80 IMAGE", fails: "port 80"},
		{label: "pod run other", fails: "another image"},
		{label: "pod --root /x run IMAGE", fails: "not for an image"},
		{label: "pod unshare rm -rf /", fails: "not for an image"},
		{label: "pod system reset -f", fails: "not for an image"},
		{label: "pod rm -af", fails: "only"},
		{label: "pod rm -f NAME other", fails: "only"},
		{label: "pod stop", fails: "no container"},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			words, err := l.words(tt.label)
			if err == nil {
				_, err = l.check(words)
			}
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("got %v, want an error with %q", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(strings.Fields(strings.Join(words, " ")), strings.Fields(tt.want)) {
				t.Errorf("got %q, want %q", words, tt.want)
			}
		})
	}
}
