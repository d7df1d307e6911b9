"""The vocabulary of the two fictional regulators whose cases `make run` shows. Every name is invented."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Incident:
    """One kind of occurrence: what happened, what was found, and what the regulator wants to know."""

    case_type: str
    assets: tuple[str, ...]
    rules: tuple[str, ...]
    title: str
    openings: tuple[str, ...]
    findings: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Regulator:
    """A tenant: its prefix of references, whom it supervises, where, and what happens there."""

    slug: str
    prefix: str
    respondents: tuple[str, ...]
    places: tuple[str, ...]
    reporters: tuple[str, ...]
    incidents: tuple[Incident, ...]


SHIPS = (
    "MV Alder Bank",
    "MV Corrie",
    "MV Tolland Hope",
    "the ferry Sandling",
    "the tug Bramble",
    "the barge Petrel 7",
    "the dredger Ostrea",
    "the pilot boat Linnet",
    "the coaster Maybird",
)
CRANES = ("crane QC-3", "crane QC-5", "reach stacker RS-12", "loading arm B", "mobile crane M-2", "crane GR-1")
TRAINS = (
    "unit 158-204",
    "unit 377-019",
    "unit 442-006",
    "wagon set K-88",
    "locomotive 60-113",
    "the 07:42 stopping service",
    "the last train of the day",
    "engineering train T-4",
)
CROSSINGS = (
    "the attendant of crossing LX-6",
    "control panel LX-2",
    "obstacle detector OD-9",
    "the recorder of crossing LX-6",
    "the local control unit",
)
LIFTS = ("lift L1", "lift L4", "escalator E2", "ramp R-3", "the platform lift")

HARBOUR = Regulator(
    slug="harbour-safety",
    prefix="HSA",
    respondents=(
        "Brackwater Ferries",
        "Calder & Finch Stevedoring",
        "Northquay Bunkering",
        "Tern Island Pilots",
        "Oxmoor Cold Storage",
        "Lantern Reach Towage",
        "Saltmarsh Grain Terminal",
        "Verity Dredging",
        "Halloran Marine Fuels",
        "Pell Point Marina",
        "Greywater Container Lines",
        "Kittiwake Cruises",
        "Anselm Ship Repair",
        "Dunmere Fish Dock",
        "Marlow Tank Storage",
    ),
    places=(
        "Berth 4",
        "Berth 11",
        "the north mole",
        "the tidal lock",
        "Quay Street pier",
        "the oil jetty",
        "Dry dock 2",
        "the fish dock",
        "the outer anchorage",
        "the container yard",
        "the ro-ro ramp",
        "Shed C",
        "the pilot station",
        "the swing bridge",
    ),
    reporters=(
        "the duty pilot",
        "a deck hand",
        "the berth supervisor",
        "a passenger",
        "the harbour patrol",
        "the vessel's master",
        "a union representative",
    ),
    incidents=(
        Incident(
            "mooring",
            SHIPS,
            ("Mooring Code section 3.2", "Port Bylaw 14"),
            "Mooring line parted on {asset} at {place}",
            (
                "A stern line of {asset} parted during the afternoon ebb at {place} and struck the bollard guard.",
                "While {asset} was being warped along {place}, the spring line failed without warning.",
            ),
            (
                "The line had been in service for nineteen months beyond the interval of its certificate.",
                "Abrasion over two metres was visible on the recovered end, and the log shows no inspection since spring.",
                "The snap-back zone was not marked, and two people stood inside it.",
            ),
            (
                "The operator has been asked for the line's certificate and inspection log.",
                "It is open whether the sister vessel carries lines of the same batch.",
            ),
        ),
        Incident(
            "spill",
            SHIPS,
            ("Bunkering Order article 9", "Port Bylaw 21"),
            "Fuel sheen reported near {place}",
            (
                "A sheen of about forty square metres was seen at {place} after {asset} took on fuel.",
                "During a transfer to {asset} an overflow of roughly ninety litres of marine gas oil reached the water at {place}.",
            ),
            (
                "The scupper plugs were missing and the drip tray was already full of rainwater.",
                "The high-level alarm had been silenced, which the watch explained by earlier false alarms.",
                "Booms were deployed within twenty minutes and recovered most of the product.",
            ),
            (
                "Samples were sent to the laboratory to compare the product with the vessel's tanks.",
                "The agreed transfer rate and the communication plan have been requested.",
            ),
        ),
        Incident(
            "lifting",
            CRANES,
            ("Lifting Rules part B", "Lifting Rules part D"),
            "Dropped load from {asset} at {place}",
            (
                "A pallet of bagged cement fell about six metres from {asset} at {place}; nobody was below.",
                "The spreader of {asset} released a corner of an empty container over {place}.",
            ),
            (
                "Two of the four twist locks show wear beyond the limit in the maker's manual.",
                "The daily check sheet was signed for a crane that stood out of service that morning.",
                "The exclusion zone was taped but not staffed, and a forklift had crossed it a minute before.",
            ),
            (
                "The maintenance contractor must explain why the defect note was closed.",
                "Proof of the thorough examination has been requested.",
            ),
        ),
        Incident(
            "navigation",
            SHIPS,
            ("Navigation Order 7", "Port Bylaw 3"),
            "Close quarters between {asset} and a leisure craft off {place}",
            (
                "{asset} passed a sailing dinghy at an estimated twelve metres off {place} in fair visibility.",
                "Radar replay shows {asset} leaving the fairway near {place} for four minutes without a call to traffic control.",
            ),
            (
                "The lookout had been sent below to prepare mooring lines.",
                "The passage plan was that of the previous season and omits the shifted buoy.",
                "Speed over ground exceeded the limit by three knots for most of the approach.",
            ),
            (
                "The voyage recorder data is due within ten days.",
                "The sailing club was invited to give its own account.",
            ),
        ),
        Incident(
            "dangerous_goods",
            CRANES,
            ("Dangerous Goods Notice 22", "Dangerous Goods Notice 9"),
            "Undeclared dangerous goods in a container at {place}",
            (
                "A container opened for a customs check at {place} held forty drums of solvent declared as cleaning supplies.",
                "A smell of chlorine led the yard crew at {place} to isolate a container booked as garden goods.",
            ),
            (
                "The packing certificate bears the name of a person who left the company last year.",
                "No segregation was applied, and the neighbouring stack held oxidising material.",
                "The shipper corrected the declaration only after the container had been stopped.",
            ),
            (
                "The booking correspondence of the last three shipments has been requested.",
                "It remains to be settled whether earlier containers of the same shipper were declared correctly.",
            ),
        ),
        Incident(
            "access",
            SHIPS,
            ("Safe Access Code section 2", "Port Bylaw 14"),
            "Unsafe gangway on {asset} at {place}",
            (
                "A surveyor slipped on the gangway of {asset} at {place} and bruised a wrist.",
                "The safety net under the gangway of {asset} was found rolled up at {place} during crew change.",
            ),
            (
                "The treads were greasy and the lamp at the shore end did not work.",
                "The gangway stood steeper than its marking allows at high water.",
                "The master had the gangway replaced the same evening.",
            ),
            (
                "Photographs from the shore side are on file; the vessel's own are awaited.",
                "The operator was asked how often gangways are checked at spring tide.",
            ),
        ),
    ),
)

RAIL = Regulator(
    slug="rail-oversight",
    prefix="ORO",
    respondents=(
        "Wexcombe Light Railway",
        "Tarn Valley Trains",
        "Ashdale Freight",
        "Junction Nine Maintenance",
        "Perrin Signalling",
        "Holt & Marsh Trackworks",
        "Eastmere Metro",
        "Coldbrook Rolling Stock",
        "Silverstrand Tramways",
        "Fernhill Heritage Line",
        "Orchard Gate Stations",
        "Linden Crossings",
        "Rook Hill Depot Services",
        "Summit Haul",
        "Thistle Line Passenger",
    ),
    places=(
        "Ashdale Junction",
        "Coldbrook station",
        "the Perrin viaduct",
        "Marsh Lane crossing",
        "platform 3 at Eastmere",
        "Rook Hill depot",
        "Holt tunnel",
        "the Fernhill loop",
        "Tarn Valley halt",
        "the Silverstrand terminus",
        "milepost 41",
        "the Linden sidings",
        "Orchard Gate",
        "Wexcombe cutting",
    ),
    reporters=(
        "the driver",
        "the signaller",
        "a track patrol",
        "a passenger",
        "the depot foreman",
        "a neighbour of the line",
        "a trainee conductor",
    ),
    incidents=(
        Incident(
            "signal_passed",
            TRAINS,
            ("Operating Rule 5.1", "Signalling Directive 8"),
            "{asset} reported after a signal passed at danger near {place}",
            (
                "A passenger train ran eighty metres past a red signal near {place} before the brake demand took effect.",
                "Close to {place} a freight train passed a signal at danger by one coach length during shunting.",
            ),
            (
                "The driver was on the sixth early turn in a row and reports poor sleep.",
                "Low sun and a newly grown hedge shorten the sighting distance to under five seconds.",
                "The train protection had been isolated with a valid form that should have expired at noon.",
            ),
            (
                "The data recorder was secured and its reading is awaited.",
                "The sighting committee has been asked to visit at the same hour.",
            ),
        ),
        Incident(
            "level_crossing",
            CROSSINGS,
            ("Level Crossing Order 19", "Signalling Directive 8"),
            "Gate failure at {place} involving {asset}",
            (
                "The barriers at {place} rose while a train was still forty seconds away, according to {asset}.",
                "A van stood between closed barriers at {place} when {asset} reported obstacle clear.",
            ),
            (
                "Water was found in the disconnection box, whose seal had been painted over.",
                "The event log shows eleven short faults in the preceding week, none of them followed up.",
                "The attendant stopped the traffic by hand and prevented worse.",
            ),
            (
                "The maintainer was asked for the fault history of all crossings of this type.",
                "Until the cause is known, trains pass at walking pace.",
            ),
        ),
        Incident(
            "track",
            TRAINS,
            ("Track Standard 12", "Track Standard 30"),
            "Broken rail found at {place}",
            (
                "A track patrol found a clean break of the left rail at {place}, reported minutes before {asset} was due.",
                "A rough ride reported from {asset} led to a cracked fishplate at {place}.",
            ),
            (
                "Ultrasonic testing of this section had been postponed twice for lack of a possession.",
                "The ballast was fouled over fifteen metres and pumped visibly under load.",
                "The temporary speed restriction had been lifted on the basis of a telephone call.",
            ),
            (
                "The failed piece has been sent for metallurgical examination.",
                "The operator must list every postponed inspection on this line.",
            ),
        ),
        Incident(
            "door",
            TRAINS,
            ("Platform Safety Code 3", "Operating Rule 11"),
            "Train moved with a door open at {place}",
            (
                "{asset} left {place} with one leaf of a door open by the width of a hand.",
                "A pushchair was caught in the closing doors of {asset} at {place} and released after four metres.",
            ),
            (
                "The interlock had been bypassed during overhaul and the seal was not restored.",
                "The dispatch mirror was misaligned, and the monitor showed a frozen picture.",
                "A passenger pulled the emergency handle, and the train stopped within its length.",
            ),
            (
                "All units of the class are being checked for the same bypass.",
                "The depot's hand-over papers for the last overhaul were requested.",
            ),
        ),
        Incident(
            "fatigue",
            TRAINS,
            ("Fatigue Regulation 4", "Operating Rule 2"),
            "Roster breach at {respondent}",
            (
                "Roster samples for crews at {place} show rest periods of under ten hours on nine days.",
                "A confidential report describes shifts of thirteen hours at {place} during the timetable change.",
            ),
            (
                "The planning tool flags the breach, but the flag can be dismissed without a reason.",
                "Overtime was recorded on paper and never reached the planning office.",
                "The company has since hired four relief drivers and shortened the night turns.",
            ),
            (
                "Twelve months of worked hours, not planned hours, have been requested.",
                "The works council is to be heard before a decision.",
            ),
        ),
        Incident(
            "accessibility",
            LIFTS,
            ("Accessible Travel Code 6", "Platform Safety Code 9"),
            "Lift and ramp out of service at {place}",
            (
                "Passengers using wheelchairs could not leave {place} for most of a weekend while {asset} was being repaired.",
                "The boarding ramp at {place} was locked, and no member of staff could be found for fifty minutes.",
            ),
            (
                "The fault had been known for eleven days and the website still showed the station as step-free.",
                "The contract allows the repairer five working days, without any penalty.",
                "Taxis were offered to some passengers and refused to others on the same evening.",
            ),
            (
                "The operator was asked for its log of assistance requests.",
                "An apology and refunds have been announced; proof is outstanding.",
            ),
        ),
    ),
)

REGULATORS = (HARBOUR, RAIL)
