package cli

import (
	"context"

	"github.com/rootless-pod/pod/pkg/settings"
)

// Settings are those of pod.toml. What brings or builds images asks for them
// before it begins, so that a mistake in the file changes nothing.
func (a *App) Settings() (settings.Settings, error) {
	return a.settings.get(func() (settings.Settings, func() error, error) {
		user, err := settings.User()
		if err != nil {
			s, err := settings.Load(settings.System)
			return s, nil, err
		}
		s, err := settings.Load(settings.System, user)
		return s, nil, err
	})
}

// CollectGarbage applies [gc] of pod.toml, after images were brought or built. The
// command has done its work, so what goes wrong here is a warning.
func (a *App) CollectGarbage(ctx context.Context) {
	if err := a.ApplyGC(ctx); err != nil {
		a.Warn("%v", err)
	}
}

// ApplyGC applies [gc] of pod.toml, which may say nothing.
func (a *App) ApplyGC(ctx context.Context) error {
	s, err := a.Settings()
	if err != nil || !s.GC.Active() {
		return err
	}
	return a.Parts.Collect(ctx, a, s.GC)
}
