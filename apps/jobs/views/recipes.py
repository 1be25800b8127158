"""`/api/recipes`: declare recipes, look at them, and archive what must not be used any more."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.jobs import actions
from apps.jobs.models import Recipe
from apps.jobs.queries.recipes import find_recipe, recipes_of
from apps.jobs.serializers.recipes import RecipeRequestSerializer, RecipeSerializer
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages


@extend_schema_view(get=extend_schema(operation_id="list_recipes", tags=["recipes"]))
class RecipesView(ListAPIView[Recipe]):
    """The workspace's recipes, every number of each, newest first."""

    required_scope = "jobs"
    queryset = Recipe.objects.none()
    serializer_class = RecipeSerializer
    pagination_class = CursorPages
    page_order = ("-id",)

    def get_queryset(self) -> QuerySet[Recipe]:
        return recipes_of(key_of(self.request).workspace_id)

    @extend_schema(
        operation_id="declare_recipe",
        tags=["recipes"],
        request=RecipeRequestSerializer,
        responses={201: RecipeSerializer, 200: RecipeSerializer},
    )
    def post(self, request: Request) -> Response:
        """Declare a recipe: 201 with the next number of its name, or 200 when the newest one says the same already."""
        wanted = RecipeRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        made = actions.declare_recipe(workspace_id=key_of(request).workspace_id, **wanted.validated_data, now=current_time())
        return Response(RecipeSerializer(made.recipe).data, status=201 if made.is_new else 200)


class RecipeView(APIView):
    """One recipe: by its id, as `name@3`, or by its name, which is its newest number that isn't archived."""

    required_scope = "jobs"

    @extend_schema(operation_id="retrieve_recipe", tags=["recipes"], responses=RecipeSerializer)
    def get(self, request: Request, recipe_id: str) -> Response:
        return Response(RecipeSerializer(_recipe(request, recipe_id)).data)


class RecipeArchiveView(APIView):
    """New jobs can't use this number any more; jobs that have begun go on by it."""

    required_scope = "jobs"

    @extend_schema(operation_id="archive_recipe", tags=["recipes"], request=None, responses=RecipeSerializer)
    def post(self, request: Request, recipe_id: str) -> Response:
        recipe = _recipe(request, recipe_id)
        archived = actions.archive_recipe(workspace_id=recipe.workspace_id, recipe_id=recipe.id, now=current_time())
        return Response(RecipeSerializer(archived).data)


def _recipe(request: Request, recipe_id: str) -> Recipe:
    return find_recipe(workspace_id=key_of(request).workspace_id, name=recipe_id)
