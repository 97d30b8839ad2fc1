from evsim.api.audit import audit as audit
from evsim.api.audit import lint as lint
from evsim.api.audit_report import AuditReport as AuditReport
from evsim.api.counts import Counts as Counts
from evsim.api.evaluate import evaluate as evaluate
from evsim.api.layer_spikes import LayerSpikes as LayerSpikes
from evsim.api.load import load as load
from evsim.api.run import Run as Run
from evsim.api.trained_network import TrainedNetwork as TrainedNetwork
from evsim.api.verify import verify as verify
from evsim.asynchronous.options import Asynchrony as Asynchrony
from evsim.engine.spikes import Spikes as Spikes
from evsim.errors import EvsimError as EvsimError
from evsim.loading.zoo import bundled as bundled
from evsim.recordings.read import read_recording as read_recording

__version__: str
