package storage

import (
	"testing"

	cstorage "go.podman.io/storage"
)

func TestHold(t *testing.T) {
	ctx := t.Context()
	store := open(t, Options{})
	lib := libraryOf(t, store)
	layer, err := lib.CreateLayer("", "", nil, "", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	img, err := lib.CreateImage(id(7), nil, layer.ID, "", &cstorage.ImageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // held twice is held once
		if err := store.Hold(ctx, img.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := lib.DeleteImage(img.ID, true); err == nil {
		t.Fatal("a held image was removed")
	}
	if owned, err := store.Owned(ctx); err != nil || len(owned) != 0 {
		t.Errorf("a hold is taken for a container of pod's: %v, %v", owned, err)
	}
	for range 2 { // and there need be none to be released
		if err := store.Release(ctx, img.ID); err != nil {
			t.Fatal(err)
		}
	}
	// A hold that was killed leaves its layer.
	if _, err := lib.CreateLayer(LayerID(holdID(img.ID)), layer.ID, nil, "", true, nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Hold(ctx, img.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := lib.DeleteImage(img.ID, true); err == nil {
		t.Error("an image that is held over a stray layer was removed")
	}
	if err := store.Release(ctx, img.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := lib.DeleteImage(img.ID, true); err != nil {
		t.Errorf("after the release: %v", err)
	}
}
