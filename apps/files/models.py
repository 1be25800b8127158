"""Files: what was uploaded and what the platform wrote. The bytes are in storage, the facts are here."""

from django.db import models
from django.db.models.functions import Now

from apps.lib.ids import public_id, uuid7

FILE_PREFIX = "file-"
UPLOAD_PREFIX = "upload_"
PART_PREFIX = "part_"


class Purpose(models.TextChoices):
    """What a file is for, in the OpenAI API's words."""

    BATCH = "batch"
    BATCH_OUTPUT = "batch_output"
    ASSISTANTS = "assistants"
    FINE_TUNE = "fine-tune"
    VISION = "vision"
    USER_DATA = "user_data"
    EVALS = "evals"


class FileQuerySet(models.QuerySet["File"]):
    """Which files a caller can still see."""

    def present(self) -> "FileQuerySet":
        return self.filter(deleted_at=None)


class File(models.Model):
    """One stored file. Deleted and expired files keep their row (`deleted_at`) and lose their bytes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="files")
    api_key = models.ForeignKey("accounts.ApiKey", on_delete=models.SET_NULL, null=True, blank=True)
    purpose = models.CharField(max_length=20, choices=Purpose)
    filename = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    storage_key = models.CharField(max_length=255)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = FileQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "created_at", "id"], name="files_file_by_workspace"),
            models.Index(fields=["workspace", "id"], name="files_file_newest"),
            models.Index(fields=["expires_at"], condition=models.Q(deleted_at=None), name="files_file_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.filename} ({self.public_id})"

    @property
    def public_id(self) -> str:
        return public_id(FILE_PREFIX, self.id)


class UploadStatus(models.TextChoices):
    """An upload takes parts while it is pending, for an hour."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Upload(models.Model):
    """A file that comes in parts; completing it makes the File."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="uploads")
    api_key = models.ForeignKey("accounts.ApiKey", on_delete=models.SET_NULL, null=True, blank=True)
    purpose = models.CharField(max_length=20, choices=Purpose)
    filename = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField(help_text="What was announced; the parts must come to exactly this.")
    status = models.CharField(max_length=10, choices=UploadStatus, default=UploadStatus.PENDING)
    file_expires_after_seconds = models.PositiveIntegerField(null=True, blank=True)
    file = models.ForeignKey("files.File", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], condition=models.Q(status="pending"), name="files_upload_expiry")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return public_id(UPLOAD_PREFIX, self.id)


class Part(models.Model):
    """Some bytes of an upload; which come first is said when it is completed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    upload = models.ForeignKey("files.Upload", on_delete=models.CASCADE, related_name="parts")
    size_bytes = models.BigIntegerField()
    storage_key = models.CharField(max_length=255)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return public_id(PART_PREFIX, self.id)
