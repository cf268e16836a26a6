package gateway

import (
	"context"
	"slices"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/content"
)

// PutTemplate creates or replaces a template.
func (s *admin) PutTemplate(ctx context.Context, r *rousev1.PutTemplateRequest) (*rousev1.PutTemplateResponse, error) {
	app, err := callerOf(ctx).scope(r.GetAppId())
	if err != nil {
		return nil, err
	}
	if err := content.Check(r.GetTemplate()); err != nil {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "%s", err)
	}
	if err := s.Catalog.PutTemplate(app, r.GetTemplate()); err != nil {
		return nil, err
	}
	return &rousev1.PutTemplateResponse{Template: r.GetTemplate()}, nil
}

// ListTemplates tells the templates of an app.
func (s *admin) ListTemplates(ctx context.Context, r *rousev1.ListTemplatesRequest) (*rousev1.ListTemplatesResponse, error) {
	app, err := s.app(ctx, r.GetAppId())
	if err != nil {
		return nil, err
	}
	response := &rousev1.ListTemplatesResponse{}
	for _, t := range content.BuiltIn() {
		if _, replaced := app.Template(t.GetName()); !replaced {
			response.Templates = append(response.Templates, t)
		}
	}
	for _, name := range app.TemplateNames() {
		template, _ := app.Template(name)
		response.Templates = append(response.Templates, template)
	}
	slices.SortFunc(response.Templates, func(a, b *rousev1.Template) int { return strings.Compare(a.GetName(), b.GetName()) })
	return response, nil
}

// DeleteTemplate removes a template. To a built-in one that was not replaced it
// does nothing.
func (s *admin) DeleteTemplate(ctx context.Context, r *rousev1.DeleteTemplateRequest) (*rousev1.DeleteTemplateResponse, error) {
	app, err := s.app(ctx, r.GetAppId())
	if err != nil {
		return nil, err
	}
	_, put := app.Template(r.GetName())
	if builtIn := r.GetName() == content.Default || r.GetName() == content.Detail; builtIn && !put {
		return &rousev1.DeleteTemplateResponse{}, nil
	}
	if err := s.Catalog.DeleteTemplate(app.ID(), r.GetName()); err != nil {
		return nil, err
	}
	return &rousev1.DeleteTemplateResponse{}, nil
}
