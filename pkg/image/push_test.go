package image

import (
	"strings"
	"testing"

	"go.podman.io/image/v5/manifest"
)

func TestPushOptions(t *testing.T) {
	for name, tt := range map[string]struct {
		opts  PushOptions
		wrong string
	}{
		"nothing":                   {PushOptions{}, ""},
		"docker's format":           {PushOptions{Format: "v2s2"}, ""},
		"unknown format":            {PushOptions{Format: "v9"}, "unknown format"},
		"zstd":                      {PushOptions{CompressionFormat: "zstd", ForceCompression: true}, ""},
		"unknown compression":       {PushOptions{CompressionFormat: "zip"}, "use gzip, zstd or zstd:chunked"},
		"force without compression": {PushOptions{ForceCompression: true}, "needs --compression-format"},
		"layer without key":         {PushOptions{EncryptLayers: []int{0}}, "needs --encryption-key"},
		"no such key":               {PushOptions{EncryptionKeys: []string{"jwe:/no/such/key"}}, "--encryption-key"},
		"no protocol":               {PushOptions{EncryptionKeys: []string{"nonsense"}}, "--encryption-key"},
		"passphrase without key":    {PushOptions{Signing: Signing{PassphraseFile: "/x"}}, "needs a key"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.opts.Library()
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.opts.Format == "v2s2" && got.ManifestMIMEType != manifest.DockerV2Schema2MediaType {
				t.Errorf("got %s", got.ManifestMIMEType)
			}
			if (got.CompressionFormat != nil) != (tt.opts.CompressionFormat != "") {
				t.Errorf("compression %v", got.CompressionFormat)
			}
		})
	}
}

func TestExplainDaemon(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///no/such/socket")
	err := explainDaemon("docker-daemon:app:1", nil)
	if err == nil || !strings.Contains(err.Error(), "no Docker daemon answers at /no/such/socket") {
		t.Errorf("got %v", err)
	}
	t.Setenv("DOCKER_HOST", "tcp://example:1")
	if err := explainDaemon("docker-daemon:app:1", nil); err != nil {
		t.Errorf("judged a daemon elsewhere: %v", err)
	}
}
