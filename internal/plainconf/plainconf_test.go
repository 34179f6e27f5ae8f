package plainconf

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"go.podman.io/storage/pkg/configfile"
)

type settings struct {
	Top   string
	Table struct {
		List []string
		Text string
	}
}

// What is read without comments is what is read with them, whatever the files hold;
// the environment is as before.
func TestRead(t *testing.T) {
	for name, test := range map[string]struct {
		main, extra string // extra is the file of _OVERRIDE
		fails       bool
	}{
		"comments alone": {main: "# one\n\n  # two\n"},
		"empty":          {},
		"values":         {main: "# c\nTop = \"a\" # rest\n[Table]\nList = [\n  # within\n  \"#1\", \"2\",\n]\n"},
		"two files":      {main: "Top = \"a\"\n[Table]\nText = \"b\"\n", extra: "# c\nTop = \"c\"\n"},
		"many lines":     {main: "Top = \"\"\"\n# no comment\n\"\"\"\n"},
		"literal lines":  {main: "Top = '''\n# no comment\n'''\n"},
		"a quote within": {main: "# it's \"\"\" here\nTop = \"a\"\n"},
		"no newline":     {main: "Top = \"a\"\n# end"},
		"damaged":        {main: "# c\nTop = \n", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			main, extra := filepath.Join(dir, "main"), filepath.Join(dir, "extra")
			t.Setenv("PLAINCONF_TEST", main)
			t.Setenv("PLAINCONF_TEST_OVERRIDE", extra)
			for file, text := range map[string]string{main: test.main, extra: test.extra} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			conf := configfile.File{Name: "test", Extension: "conf", EnvironmentName: "PLAINCONF_TEST"}
			parse := func(into *settings) error { own := conf; return configfile.ParseTOML(into, &own) }
			var want, got settings
			wantErr := parse(&want)
			err := Read(conf, func() error { got = settings{}; return parse(&got) })
			if (err != nil) != test.fails || err != nil && err.Error() != wantErr.Error() {
				t.Errorf("got error %v, want %v", err, wantErr)
			}
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if os.Getenv("PLAINCONF_TEST") != main || os.Getenv("PLAINCONF_TEST_OVERRIDE") != extra {
				t.Error("the environment has changed")
			}
		})
	}
}

// Of more files than can be named none is left out.
func TestReadManyFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"1", "2", "3"} {
		if err := os.WriteFile(filepath.Join(dir, name+".conf"), []byte("[Table]\n# c\nText = \""+name+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := configfile.File{Name: "test", Extension: "conf", CustomConfigFileDropInDirectory: dir, DoNotLoadMainFiles: true, EnvironmentName: "PLAINCONF_TEST"}
	var got settings
	calls := 0
	err := Read(conf, func() error { calls++; own := conf; return configfile.ParseTOML(&got, &own) })
	if err != nil || calls != 1 || got.Table.Text != "3" {
		t.Errorf("got %+v, %v after %d calls", got, err, calls)
	}
}
