package libpod

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/seccomp"

	"github.com/rootless-pod/pod/internal/jsononce"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// bpfAnnotation gives crun a filter that is compiled already (crun(1)).
// Compiling the field's default profile takes longer than all else crun does.
const bpfAnnotation = "run.oci.seccomp_bpf_data"

// addSeccomp puts the filter of the container into the specification: as a
// profile, which every runtime understands, and for crun compiled too.
func (e *Engine) addSeccomp(ctx context.Context, s *specgen.Container, spec *rspec.Spec, runtime *ociruntime.Runtime) error {
	// What the user may not do by an annotation either.
	delete(spec.Annotations, bpfAnnotation)
	profile, err := e.seccompProfile(s, spec)
	if err != nil || profile == nil {
		return err
	}
	spec.Linux.Seccomp = profile
	if !strings.HasPrefix(filepath.Base(runtime.Path), "crun") || profile.ListenerPath != "" {
		return nil
	}
	var filter []byte
	err = step.Do(ctx, "seccomp", func() error { filter, err = e.compiled(profile); return err })
	if err != nil {
		return err
	}
	if spec.Annotations == nil {
		spec.Annotations = map[string]string{}
	}
	spec.Annotations[bpfAnnotation] = base64.StdEncoding.EncodeToString(filter)
	return nil
}

// seccompProfile returns the profile of the container: the field's default, a
// file of the user's, or none.
func (e *Engine) seccompProfile(s *specgen.Container, spec *rspec.Spec) (*rspec.LinuxSeccomp, error) {
	path := s.Security.Seccomp
	if path == "unconfined" || (path == "" && s.Security.Privileged) || !seccomp.IsSupported() {
		return nil, nil //nolint:nilnil // no profile is an answer
	}
	if path == "" {
		path = e.Config.Containers.SeccompProfile
	}
	switch path {
	case "unconfined":
		return nil, nil //nolint:nilnil // as above
	case "":
		return seccomp.GetDefaultProfile(spec)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		if s.Security.Seccomp == "" && errors.Is(err, fs.ErrNotExist) {
			return seccomp.GetDefaultProfile(spec)
		}
		return nil, fmt.Errorf("open seccomp profile: %w", err)
	}
	profile, err := seccomp.LoadProfile(string(data), spec)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile %s: %w", path, err)
	}
	return profile, nil
}

// compiled returns the filter of a profile, from the run directory's cache if
// it was compiled since the boot. The directory is the user's alone.
func (e *Engine) compiled(profile *rspec.LinuxSeccomp) ([]byte, error) {
	text, err := jsononce.Marshal(profile)
	if err != nil {
		return nil, fmt.Errorf("encode seccomp profile: %w", err)
	}
	sum := sha256.Sum256(text)
	path := filepath.Join(e.paths.run, "seccomp-"+hex.EncodeToString(sum[:12]))
	if filter, err := os.ReadFile(path); err == nil && len(filter) > 0 {
		return filter, nil
	}
	built, err := seccomp.BuildFilter(profile)
	if err != nil {
		return nil, fmt.Errorf("compile seccomp profile: %w", err)
	}
	defer built.Release()
	file, err := os.CreateTemp(e.paths.run, "seccomp-new-")
	if err != nil {
		return nil, fmt.Errorf("store compiled seccomp profile: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // gone already when all went well
	defer file.Close()
	if err := built.ExportBPF(file); err != nil {
		return nil, fmt.Errorf("compile seccomp profile: %w", err)
	}
	filter, err := os.ReadFile(file.Name())
	if err != nil {
		return nil, fmt.Errorf("store compiled seccomp profile: %w", err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return nil, fmt.Errorf("store compiled seccomp profile: %w", err)
	}
	return filter, nil
}
