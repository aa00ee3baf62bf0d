"""What a data card states of the patients and their images."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\r\n]*$")]
"""One line of text, "" if nothing is stated."""


class Study(BaseModel):
    """The table ``[study]`` of a data card.

    It describes the images and changes none, so no fingerprint depends on it.

    Attributes:
        ages: Of the patients, class by class if they differ.
        sexes: Of the patients.
        sites: The hospitals or collections that the images come from.
        dates: When they were made.
        view: Projection and position, such as PA upright or AP supine.
        devices: The X-ray machines, and what was done to the images since.
        reference_standard: How the class of an image was established.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ages: Sentence = ""
    sexes: Sentence = ""
    sites: Sentence = ""
    dates: Sentence = ""
    view: Sentence = ""
    devices: Sentence = ""
    reference_standard: Sentence = ""
