package version

import (
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	for in, want := range map[string]int64{
		"":                     0,
		"rubbish":              0,
		"1700000000":           1700000000,
		"2023-11-14T22:13:20Z": 1700000000,
	} {
		if got := parseDate(in).Unix(); got != want {
			t.Errorf("parseDate(%q) = %d, want %d", in, got, want)
		}
	}
}

func TestGetPrefersTheLinkersValues(t *testing.T) {
	commit, date := Commit, Date
	t.Cleanup(func() { Commit, Date = commit, date })
	Commit, Date = "abc", "1700000000"
	got := Get()
	if got.GitCommit != "abc" || got.Built != 1700000000 || got.BuiltTime != time.Unix(1700000000, 0).Format(time.ANSIC) {
		t.Fatalf("got %+v", got)
	}
}
