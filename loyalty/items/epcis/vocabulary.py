"""The words of the Core Business Vocabulary 2.0 that EPCIS fields hold, and their one spelling.

A value may be a bare word (`shipping`), GS1's address of it (`https://ref.gs1.org/cbv/BizStep-shipping`), its URN
(`urn:epcglobal:cbv:bizstep:shipping`), a compact name (`cbv:BizStep-shipping`), or a brand's own URI. What claims to be
GS1's must be one of GS1's (CBV 2.0, sections 7.1 to 7.6; the sets are those of epcis-json-schema.json 2.0.1).
"""

from __future__ import annotations

from typing import Final

import msgspec

from loyalty.items.epcis.contexts import Context
from loyalty.items.epcis.uris import is_uri

_GS1: Final = ("urn:epcglobal:cbv:", "https://ref.gs1.org/cbv/", "http://ref.gs1.org/cbv/", "https://ns.gs1.org/")
_VOCABULARY: Final = "https://ref.gs1.org/voc/"


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """The words of one field. `address` and `urn` are put before a word to name it in full."""

    name: str
    address: str
    urn: str
    words: frozenset[str]
    aliases: tuple[str, ...] = ()
    """Further beginnings that GS1 used for the same words."""

    def canonical(self, value: str, context: Context) -> str:
        """The full address of a value. Raises ValueError with the reason."""
        text = context.expand(value)
        if ":" not in text:
            if text not in self.words:
                message = f"{text[:80]!r} is no {self.name} of CBV 2.0"
                raise ValueError(message)
            return self.address + text
        for beginning in (*self.aliases, self.address, self.urn):
            if text.startswith(beginning):
                word = text.removeprefix(beginning)
                if word not in self.words:
                    message = f"{word[:80]!r} is no {self.name} of CBV 2.0"
                    raise ValueError(message)
                return self.address + word
        if text.startswith(_GS1):
            message = f"{text[:80]!r} is in GS1's namespace, yet no {self.name} of CBV 2.0"
            raise ValueError(message)
        if not is_uri(text):
            message = f"{text[:80]!r} is neither a word of CBV 2.0 nor a URI"
            raise ValueError(message)
        return text

    def word(self, canonical: str) -> str:
        """A canonical value as it is answered: the bare word where it is one of GS1's."""
        return canonical.removeprefix(self.address)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BIZ_STEP: Final = Vocabulary(
    name="business step",
    address="https://ref.gs1.org/cbv/BizStep-",
    urn="urn:epcglobal:cbv:bizstep:",
    words=_words("""
        accepting arriving assembling collecting commissioning consigning creating_class_instance cycle_counting
        decommissioning departing destroying disassembling dispensing encoding entering_exiting holding inspecting
        installing killing loading other packing picking receiving removing repackaging repairing replacing reserving
        retail_selling sampling sensor_reporting shipping staging_outbound stock_taking stocking storing transporting
        unloading unpacking void_shipping
    """),
)
DISPOSITION: Final = Vocabulary(
    name="disposition",
    address="https://ref.gs1.org/cbv/Disp-",
    urn="urn:epcglobal:cbv:disp:",
    words=_words("""
        active available completeness_inferred completeness_verified conformant container_closed container_open damaged
        destroyed dispensed disposed encoded expired in_progress in_transit inactive mismatch_class mismatch_instance
        mismatch_quantity needs_replacement no_pedigree_match non_conformant non_sellable_other partially_dispensed
        recalled reserved retail_sold returned sellable_accessible sellable_not_accessible stolen unavailable unknown
    """),
)
BIZ_TRANSACTION_TYPE: Final = Vocabulary(
    name="type of business transaction",
    address="https://ref.gs1.org/cbv/BTT-",
    urn="urn:epcglobal:cbv:btt:",
    words=_words("bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt"),
)
SOURCE_DESTINATION_TYPE: Final = Vocabulary(
    name="type of source or destination",
    address="https://ref.gs1.org/cbv/SDT-",
    urn="urn:epcglobal:cbv:sdt:",
    words=_words("location owning_party possessing_party"),
)
ERROR_REASON: Final = Vocabulary(
    name="error reason",
    address="https://ref.gs1.org/cbv/ER-",
    urn="urn:epcglobal:cbv:er:",
    words=_words("did_not_occur incorrect_data"),
)
COMPONENT: Final = Vocabulary(
    name="component",
    address="https://ref.gs1.org/cbv/Comp-",
    urn="urn:epcglobal:cbv:comp:",
    words=_words("""
        altitude axial_distance azimuth easting elevation_angle height latitude longitude northing polar_angle
        spherical_radius x y z
    """),
)
SENSOR_ALERT: Final = Vocabulary(
    name="sensor alert",
    address=_VOCABULARY,
    urn="https://gs1.org/voc/",
    words=_words("ALARM_CONDITION ERROR_CONDITION"),
    aliases=("https://www.gs1.org/voc/", "https://ref.gs1.org/voc/SensorAlertType-"),
)
MEASUREMENT: Final = Vocabulary(
    name="measurement",
    address=_VOCABULARY,
    urn="https://gs1.org/voc/",
    aliases=("https://www.gs1.org/voc/",),
    words=_words("""
        AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Altitude AmountOfSubstance
        AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area Capacitance
        Conductance Conductivity Count Density Dimensionless DoseEquivalent DoseEquivalentRate DynamicViscosity
        ElectricCharge ElectricCurrent ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency
        Illuminance Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux
        LuminousIntensity MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass MassConcentration MassFlowRate
        MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarVolume Power Pressure RadiantFlux
        RadiantIntensity Radioactivity RelativeHumidity Resistance Resistivity SolidAngle SpecificVolume Speed
        SurfaceDensity SurfaceTension Temperature Time Torque Voltage Volume VolumeFlowRate VolumeFraction
        VolumetricFlux Wavenumber
    """),
)
