from gosuper._plain import Place as Place
from gosuper._plain import Slots as Slots
