package image

import "context"

// TopLayer is the layer of the store that a local image consists of.
func (s *Store) TopLayer(ctx context.Context, name string) (string, error) {
	img, err := s.find(ctx, name)
	if err != nil {
		return "", err
	}
	if img.TopLayer == "" {
		return "", &Error{Name: name, Reason: "the image has no layer"}
	}
	return img.TopLayer, nil
}
