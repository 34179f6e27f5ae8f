package plan

import (
	"encoding/json"
	"strings"
	"testing"

	"go.podman.io/buildah/define"
	"go.podman.io/image/v5/types"
)

const several = `ARG BASE=alpine
ARG WHERE=build
FROM $BASE AS build
ARG VERSION=1
COPY go.mod src/ /src/
RUN --mount=type=bind,source=hack,target=/hack --mount=type=cache,target=/c make
FROM node AS assets
RUN npm
FROM build AS test
RUN --mount=type=bind,from=assets,target=/a test
FROM --after=assets scratch
COPY --from=$WHERE /src/app /
COPY --from=docker.io/library/busybox /bin/sh /
ADD --exclude=*.md https://example.org/x docs /
COPY <<EOF /f
text
EOF
`

func text(t *testing.T, o *Options, files ...string) string {
	t.Helper()
	var data [][]byte
	for _, f := range files {
		data = append(data, []byte(f))
	}
	p, err := Parse(data, o)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	if err := p.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestText(t *testing.T) {
	tests := map[string]struct {
		o    Options
		want string
	}{
		"all": {want: `1. 2 stages side by side
   stage 1 build from alpine, 4 steps
   stage 2 assets from node, 2 steps
2.
   stage 4 from scratch, 5 steps (target)
      step 1 waits for stage 2 assets: --after
      step 2 waits for stage 1 build: COPY --from
      step 3 needs image docker.io/library/busybox: COPY --from
skipped: stage 3 test, which the target does not need
`},
		"a target": {o: Options{Target: "test", Args: map[string]string{"BASE": "debian"}}, want: `1. 2 stages side by side
   stage 1 build from debian, 4 steps
   stage 2 assets from node, 2 steps
2.
   stage 3 test from stage 1 build, 2 steps (target)
      step 2 waits for stage 2 assets: RUN --mount
`},
		"an argument decides": {o: Options{Args: map[string]string{"WHERE": "assets"}, Target: "3"}, want: `1.
   stage 2 assets from node, 2 steps
2.
   stage 4 from scratch, 5 steps (target)
      step 1 waits for stage 2 assets: --after
      step 2 waits for stage 2 assets: COPY --from
      step 3 needs image docker.io/library/busybox: COPY --from
skipped: stage 1 build, which the target does not need
skipped: stage 3 test, which the target does not need
`},
		"contexts stand for stages": {
			o: Options{Contexts: map[string]*define.AdditionalBuildContext{
				"build": {IsImage: true, Value: "docker://built"}, "assets": {Value: "/dir"},
			}, Target: "test", From: "other"},
			want: `1.
   stage 3 test from docker://built, 2 steps (target)
      step 2 needs context assets: RUN --mount
skipped: stage 1 build, which the target does not need
skipped: stage 2 assets, which the target does not need
`,
		},
		"none is skipped": {
			o: Options{SkipUnused: types.OptionalBoolFalse, Target: "1", OS: "linux", Architecture: "arm64"},
			want: `platform linux/arm64
1. 2 stages side by side
   stage 1 build from alpine, 4 steps
   stage 2 assets from node, 2 steps (target)
`,
		},
		"no such target": {o: Options{Target: "x"}, want: `the target "x" was not found in the provided Dockerfile`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := text(t, &tt.o, several); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for file, want := range map[string]string{
		"FROM --after=b a AS c": `FROM --after=b: stage "b" not found`,
		"RUN x":                 "FROM",
		"FROM a\nBAD \\":        "",
	} {
		if got := text(t, &Options{}, file); !strings.Contains(got, want) {
			t.Errorf("%s: got %q", file, got)
		}
	}
}

func TestSteps(t *testing.T) {
	p, err := Parse([][]byte{[]byte(several)}, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal([]any{p.Stages[0].Steps, p.Stages[0].Arguments, p.Stages[3].Steps[3:]})
	if err != nil {
		t.Fatal(err)
	}
	want := `[[{"step":1,"instruction":"FROM $BASE AS build"},{"step":2,"instruction":"ARG VERSION=1"},` +
		`{"step":3,"instruction":"COPY go.mod src/ /src/","context":["go.mod","src/"]},` +
		`{"step":4,"instruction":"RUN --mount=type=bind,source=hack,target=/hack --mount=type=cache,target=/c make","context":["hack"]}],` +
		`["VERSION"],[{"step":4,"instruction":"ADD --exclude=*.md https://example.org/x docs /","context":["docs"],"excludes":["*.md"],"urls":["https://example.org/x"]},` +
		`{"step":5,"instruction":"COPY \u003c\u003cEOF /f"}]]`
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestDot(t *testing.T) {
	p, err := Parse([][]byte{[]byte("FROM a AS x\nRUN 1\nFROM scratch\nCOPY --from=x / /\nCOPY --from=i / /\n"), []byte("FROM x AS unused\nFROM 1\nRUN 2")}, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := p.Dot(&b); err != nil {
		t.Fatal(err)
	}
	want := `digraph "build" {
  rankdir=LR;
  node [shape=box];
  s1 [label="stage 1 x\n2 steps"];
  "a" [shape=ellipse];
  "a" -> s1 [label="FROM"];
  s2 [label="stage 2\n3 steps"];
  s1 -> s2 [label="COPY --from\nstep 2"];
  "i" [shape=ellipse];
  "i" -> s2 [label="COPY --from\nstep 3"];
  s3 [label="stage 3 unused\n1 step", style=dashed];
  s1 -> s3 [label="FROM"];
  s4 [label="stage 4\n2 steps", style=bold];
  s2 -> s4 [label="FROM"];
}
`
	if b.String() != want {
		t.Errorf("got:\n%s", b.String())
	}
}
